import json
import re
from pathlib import Path

import pytest

from dlmap.run.files import read_csv, six_digits, write_atomically, write_csv, write_page


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "x.csv"
    target.write_text("old")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(target, fail)
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"] and target.read_text() == "old"


def test_tables_come_back(tmp_path: Path) -> None:
    rows = [("a,b\n", None, six_digits(2 / 3)), ("bytes-\udcff", 1, six_digits("x"))]
    write_csv(tmp_path / "below" / "x.csv", ("name", "count", "share"), rows)
    assert read_csv(tmp_path / "below" / "x.csv") == [
        {"name": "a,b\n", "count": "", "share": "0.666667"},
        {"name": "bytes-\udcff", "count": "1", "share": "x"},
    ]


def test_lists_may_come_piece_by_piece(tmp_path: Path) -> None:
    template, page = tmp_path / "template.html", tmp_path / "page.html"
    template.write_text('<script type="application/json" id="data">HERE</script>')
    write_page(page, template, "HERE", {"none": iter(()), "some": iter([{"a": "<"}, None]), "text": "é"})
    found = re.search(r'id="data">(.*)</script>', page.read_text("utf-8"))
    assert found is not None and "<" not in found[1]
    assert json.loads(found[1]) == {"none": [], "some": [{"a": "<"}, None], "text": "é"}
