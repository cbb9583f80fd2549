from pathlib import Path

import pytest

from mslique import UserError, decimal_number, table_rows


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (folder / "t.csv").write_bytes(text.encode(encoding))
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("a.png;3,5\nb.png;4\n", ["a.png", "3,5"]),  # a comma divides only one of the rows
        ("a.png;3,5\nb.png;4,5\n", ["a.png", "3,5"]),
        ("x;y.png,3\nz.png,4\n", ["x;y.png", "3"]),
        ("a b\tc,d\n", ["a b", "c,d"]),
        ('"a,b",c\nd,e\n', ["a,b", "c"]),
        ("a,b,c\nd,e\nf,g\n", ["a", "b", "c"]),
    ],
)
def test_the_separator_is_found(text: str, cells: list[str], tmp_path: Path) -> None:
    assert table_rows(written(tmp_path, text))[0] == (1, cells)


def test_lines_are_counted_with_those_that_are_empty_or_inside_a_cell(tmp_path: Path) -> None:
    assert table_rows(written(tmp_path, '\n\na,"b\nc",\n,,\nd,e,\n')) == [(4, ["a", "b\nc"]), (6, ["d", "e"])]


@pytest.mark.parametrize(
    ("text", "encoding", "sentence"),
    [
        ("", "utf-8", "is empty"),
        (" ; \n;\n", "utf-8", "is empty"),
        ("a\nb\n", "utf-8", "single column"),
        ("Jürgen,1\n", "cp1252", "cannot be read as a table .* in UTF-8"),
        ("PK\3\4\udcff", "utf-16-le", "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused(text: str, encoding: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode(encoding, errors="surrogatepass"))
    with pytest.raises(UserError, match=rf"t\.csv .*{sentence}"):
        table_rows(tmp_path / "t.csv")


def test_a_number_has_a_point_or_a_comma() -> None:
    assert [decimal_number(text) for text in ("1.5", "1,5", "-2", "1e-3")] == [1.5, 1.5, -2, 0.001]
    for text in ("1,234.5", "1.234,5", "1,2,3", "x", ""):
        with pytest.raises(ValueError):
            decimal_number(text)
