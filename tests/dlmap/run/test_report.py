import base64
import io
import json
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from dlmap.run import report
from dlmap.run.record import Journal, Record
from dlmap.run.report import MANY, Thumbnails
from mslique import UserError, list_images

HOSTILE = "</script><script>document.title='broken in'</script><img src=x onerror=alert(1)>\n\udcff.png"


def fill(output: Path, names: list[str]) -> None:
    journal = Journal(output)
    thumbnails = Thumbnails(journal.folder)
    for k, name in enumerate(names):
        thumbnails.save(name, Image.new("L", (800, 600), 60), Image.new("RGBA", (800, 600), "red"))
        record = done(name, f"below/{name}", quality_before=30.0 + k, quality_after=41.0 - k)
        curves = {"quality": [30.0, float("nan"), 41.0], "fidelity": [0.0, 0.0, 0.01], "objective": [30.0, 35.0, 40.0]}
        journal.append(0, replace(record, curves=curves))
    journal.append(0, Record("broken.jpg", "broken.png").failed("no photo"))


def done(name: str, output: str, **quality: float) -> Record:
    return Record(name, output, status="ok", seconds=2.0, iterations=2, fidelity=0.01, **quality)  # type: ignore[arg-type]


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


def test_memory_does_not_grow_with_the_page(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    thumbnails = Thumbnails(Journal(tmp_path).folder)
    for k in range(40):
        noise = Image.fromarray(rng.integers(0, 256, (200, 300, 3), dtype=np.uint8))
        thumbnails.save(f"{k}.png", noise, noise)
        Journal(tmp_path).append(0, done(f"{k}.png", f"{k}.png", quality_before=30.0, quality_after=41.0))
    report.report(tmp_path)  # what a first call sets up is not counted
    tracemalloc.start()
    page = report.report(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert page.stat().st_size > 2e6 and peak < page.stat().st_size / 4


def decode(uri: str) -> Image.Image:
    head, data = uri.split(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(("many", "size"), [(False, (640, 320)), (True, (320, 160))])
def test_both_pictures_come_back_small(many: bool, size: tuple[int, int], tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path)
    thumbnails.save("a\n\udcff.png", Image.new("L", (1000, 500), 100), Image.new("RGB", (1000, 500), "red"))
    uris = thumbnails.as_uris("a\n\udcff.png", many)
    assert uris is not None and thumbnails.as_uris("other", many) is None
    before, after = map(decode, uris)
    assert before.size == after.size == size
    assert before.convert("RGB").getpixel((9, 9)) == pytest.approx((100, 100, 100), abs=2)
    assert after.convert("RGB").getpixel((9, 9)) == pytest.approx((255, 0, 0), abs=4)


def test_they_are_not_taken_for_photographs(tmp_path: Path) -> None:
    Thumbnails(tmp_path).save("a", Image.new("L", (8, 8)), Image.new("L", (8, 8)))
    with pytest.raises(UserError, match="holds no image"):
        list_images(tmp_path)


def test_an_empty_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no results"):
        report.report(tmp_path)


def test_a_page_that_cannot_be_written_and_a_damaged_configuration(tmp_path: Path) -> None:
    fill(tmp_path, ["a.png"])
    (tmp_path / "config.yaml").write_bytes(b"model: \xff\n")
    page = report.report(tmp_path)
    assert data_of(page)["config"] == "model: \ufffd\n"
    page.unlink()
    page.mkdir()
    with pytest.raises(UserError, match=r"report\.html cannot be written \(Is a directory\)"):
        report.report(tmp_path)


@pytest.mark.slow
def test_it_works_in_a_browser(tmp_path: Path, browser: Browser) -> None:
    """Only cards near the window are drawn; sorting, finding and sliding do what they say; names stay text."""
    fill(tmp_path, [HOSTILE, *(f"{k:03d}.png" for k in range(60))])
    page = browser.new_page()
    page.goto(report.report(tmp_path).as_uri())
    expect(page).to_have_title("Enhanced photographs")
    headings, pairs = page.locator("h2"), page.locator(".pair")
    expect(headings).to_have_count(62)
    expect(pairs.first).to_be_visible()
    assert any("</script>" in text for text in headings.all_text_contents())
    assert page.locator("img[src=x]").count() == 0
    assert pairs.count() < 40 and page.locator("polyline").count() == 3 * pairs.count()
    slider = pairs.first.locator("input")
    slider.fill("20")
    assert slider.evaluate("one => one.parentElement.style.getPropertyValue('--at')") == "20%"
    after = page.locator("th button").nth(3)
    after.click()
    after.click()
    assert after.evaluate("one => one.parentElement.ariaSort") == "descending"
    assert (headings.first.text_content() or "").startswith("</script>")
    page.locator("#find").fill("failed")
    expect(page.locator("tbody tr:visible")).to_have_text(["broken.jpgfailed"])
    page.close()
