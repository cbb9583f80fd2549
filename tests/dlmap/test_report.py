import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dlmap import report
from dlmap.journal import Entry, Journal
from dlmap.results import Row
from dlmap.thumbnails import MANY, Thumbnails
from mslique import UserError

HOSTILE = "</script><script>document.title='broken in'</script><img src=x onerror=alert(1)>\n\udcff.png"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def fill(output: Path, names: list[str]) -> None:
    journal = Journal(output)
    thumbnails = Thumbnails(journal.folder)
    for k, name in enumerate(names):
        row = Row(name, "ok", 2.0, 2, 30.0 + k, 41.0 - k, 0.01)
        thumbnails.save(name, Image.new("L", (800, 600), 60), Image.new("RGBA", (800, 600), "red"))
        journal.append(
            0, Entry(row, f"below/{name}", "k", [30.0, float("nan"), 41.0], [0.0, 0.0, 0.01], [30.0, 35.0, 40])
        )
    journal.append(0, Entry(Row("broken.jpg", "failed", error="no photo"), "broken.png"))


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_everything_is_in_the_file(tmp_path: Path) -> None:
    fill(tmp_path, ["a b#?.png", "z.png"])
    (tmp_path / "config.yaml").write_text("model: <b>\n")
    page = report.report(tmp_path)
    data = data_of(page)
    first, broken, last = data["photos"]
    assert (first["file"], first["before"], first["after"]) == ("a b#?.png", 30, 41)
    assert first["link"] == "below/a%20b%23%3F.png" and first["curves"]["quality"] == [30, None, 41]
    assert (broken["status"], broken["text"], broken["link"]) == ("failed", "no photo", None)
    assert last["after"] == 40 and data["config"] == "model: <b>\n"
    assert [len(pair or []) for pair in data["thumbnails"]] == [2, 0, 2]
    assert re.findall(r"https?://(?!www.w3.org/2000/svg)", page.read_text()) == []


def test_names_cannot_break_out(tmp_path: Path) -> None:
    fill(tmp_path, [HOSTILE])
    page = report.report(tmp_path)
    assert data_of(page)["photos"][0]["file"] == HOSTILE
    assert len(re.findall("<script", page.read_text("utf-8"))) == 2  # the data and the program


def test_many_photographs_have_smaller_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, [f"{k}.png" for k in range(4)])
    large = report.report(tmp_path).stat().st_size
    monkeypatch.setattr(report, "MANY", 3)
    assert MANY > 3 and report.report(tmp_path).stat().st_size < large


def test_an_empty_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no results"):
        report.report(tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.slow
def test_it_works_in_a_browser(tmp_path: Path) -> None:
    """Only cards near the window are drawn; sorting, finding and sliding do what they say; names stay text."""
    fill(tmp_path, [HOSTILE, *(f"{k:03d}.png" for k in range(60))])
    page = report.report(tmp_path)
    probe = """<script>setTimeout(() => {
      const names = () => [...document.querySelectorAll("h2")].map(h => h.textContent);
      const seen = {title: document.title, hostile: names().some(n => n.includes("<\\/script>")), cards: names().length,
        images: document.querySelectorAll(".pair").length, stray: document.querySelectorAll("img[src=x]").length,
        curves: document.querySelectorAll("polyline").length};
      const range = document.querySelector(".pair input");
      range.value = 20; range.dispatchEvent(new Event("input"));
      seen.at = range.parentElement.style.getPropertyValue("--at");
      const after = document.querySelectorAll("th button")[3];
      after.click(); after.click();
      seen.sort = [after.parentElement.ariaSort, names()[0]];
      const find = document.getElementById("find");
      find.value = "failed"; find.dispatchEvent(new Event("input"));
      seen.found = [...document.querySelectorAll("tbody tr")].filter(r => !r.hidden).map(r => r.textContent);
      document.body.replaceChildren(JSON.stringify(seen));
    }, 500)</script></body>"""
    (tmp_path / "probe.html").write_text(page.read_text("utf-8").replace("</body>", probe), "utf-8")
    command = [CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000"]
    shown = subprocess.run(
        [*command, "--dump-dom", f"file://{tmp_path}/probe.html"], capture_output=True, text=True, timeout=120
    ).stdout
    found = re.search(r"<body>(.*)</body>", shown, re.DOTALL)
    assert found is not None
    seen = json.loads(found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert seen["title"] == "Enhanced photographs" and seen["hostile"] and seen["stray"] == 0
    assert seen["cards"] == 62 and 0 < seen["images"] < 40 and seen["curves"] == 3 * seen["images"]
    assert seen["at"] == "20%"
    assert seen["sort"][0] == "descending" and seen["sort"][1].startswith("</script>")
    assert seen["found"] == ["broken.jpgfailed"]
