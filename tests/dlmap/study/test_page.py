"""The page in headless Chromium, against the server in a process of its own."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
from handmade import make_study, photographs
from playwright.sync_api import Browser, Page, Route, expect

from dlmap.study.definition import Study
from dlmap.study.options import Plan
from dlmap.study.server import application
from dlmap.study.store import Store

COMMAND = Path(sys.executable).parent / "dlmap"
OPTIONS = ["--trials=18", "--catches=2", "--practice=2", "--break-every=8"]
TOTAL = 22

expect.set_options(timeout=30_000)


class Server:
    """`dlmap study serve` of one study, at a port that stays the same after a restart."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.port = 0
        self.start()

    def start(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "src"), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(COMMAND), "study", "serve", str(self.study.folder), f"--port={self.port}", *OPTIONS],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:(\d+)/s/\S+", said)) is None:
            line = self.process.stderr.readline() if self.process.stderr else ""
            assert line, said
            said += line
        self.link, self.port = found[0], int(found[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@dataclass(frozen=True)
class Shown:
    """A study and the link to its page."""

    study: Study
    link: str


@contextmanager
def served(study: Study) -> Iterator[Server]:
    server = Server(study)
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def window(browser: Browser, width: int = 1280, height: int = 720, ratio: float = 1) -> Iterator[Page]:
    """A page of its own; nothing may go wrong in it but the connection."""
    context = browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=ratio)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" and "Failed to load" not in m.text else None)
    yield page
    context.close()
    assert wrong == []


def begin(page: Page, link: str) -> str:
    """Goes to the first trial; returns the personal link."""
    page.goto(link)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#ready .link")).to_have_text(page.url)
    return page.url


def wait_for(page: Page, number: int) -> None:
    """Until the pictures of a trial are there and an answer counts."""
    expect(page.locator("#count")).to_contain_text(f"{number + 1} of")
    page.locator("#stage[aria-busy=false]").wait_for()


def answer(page: Page, number: int, key: str) -> None:
    wait_for(page, number)
    page.keyboard.press(key)
    if number in (1, 9, 17):  # the practice is over; two rests
        page.locator("main.card:visible").get_by_role("button").press("Enter")


@pytest.mark.slow
def test_a_session_survives_a_killed_server(browser: Browser, tmp_path: Path) -> None:
    keys = ["ArrowLeft", "j", "f", "ArrowRight", "J", "F"] * 4
    study = make_study(tmp_path, photographs(64) | {"third.png": photographs(48)["astronaut.png"]})
    with served(study) as server:
        with window(browser) as page:
            personal = begin(page, server.link)
            for number in range(7):
                answer(page, number, keys[number])
            wait_for(page, 7)
            server.kill()
            page.keyboard.press(keys[7])
            expect(page.locator("#notice")).to_contain_text("Reconnecting")
            page.keyboard.press(keys[6])  # counts for nothing
            server.start()
            for number in range(8, 12):
                answer(page, number, keys[number])
            expect(page.locator("#notice")).to_be_empty()

            def lose_the_confirmation(route: Route) -> None:
                route.fetch()
                route.abort()

            page.route("**/t/12", lose_the_confirmation, times=1)
            answer(page, 12, keys[12])
            wait_for(page, 13)
            answer(page, 13, keys[13])
            wait_for(page, 14)
        with window(browser) as page:  # the browser was closed, too
            page.goto(personal)
            expect(page.locator("#back")).to_contain_text(f"14 of {TOTAL}")
            page.get_by_role("button", name="Go on").click()
            for number in range(14, TOTAL):
                answer(page, number, keys[number])
            expect(page.locator("#end")).to_contain_text(f"all {TOTAL} choices")
            page.goto(personal)
            expect(page.locator("#end")).to_be_visible()
    answers = Store(study.answers).answers()
    sides = {"arrowleft": "left", "f": "left", "arrowright": "right", "j": "right"}
    assert [a.choice for a in answers] == [sides[key.lower()] for key in keys[:TOTAL]]
    trials = Store(study.answers).trials(personal.split("/")[-1])
    assert [(a.kind, a.photo, a.left, a.right) for a in answers] == [(t.kind, t.photo, t.left, t.right) for t in trials]
    assert sorted(a.kind for a in answers) == ["catch"] * 2 + ["pair"] * 18 + ["practice"] * 2
    assert all(a.seconds is not None and 0 < a.seconds < 30 for a in answers)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """A study of photographs of 512 pixels, shown by a thread of this process."""
    study = make_study(tmp_path_factory.mktemp("large"), photographs(512))
    app = application(study, Plan(trials=12, catches=2, practice=2))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    yield Shown(study, f"http://127.0.0.1:{listener.getsockname()[1]}/s/{study.token}")
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    ("width", "height", "ratio", "side", "beside"),
    [(1280, 720, 1, 512, False), (1920, 1080, 1, 512, True), (1280, 720, 2, 256, True), (1000, 720, 1, 476, False),
     (1920, 400, 1.25, 270, True)],
)  # fmt: skip
def test_one_pixel_is_one_pixel(
    browser: Browser, large: Shown, width: int, height: int, ratio: float, side: float, beside: bool
) -> None:
    """Or as near as the window lets; the original stands between them where that makes nothing smaller."""
    with window(browser, width, height, ratio) as page:
        begin(page, large.link)
        wait_for(page, 0)
        boxes = [page.locator(f"#{place} img").first.bounding_box() for place in ("left", "right")]
        for box in boxes:
            assert box is not None and box["width"] == box["height"] == pytest.approx(side, abs=10)
        native = 512 / ratio
        assert all(box and (box["width"] == native if side == native else box["width"] < native) for box in boxes)
        assert page.locator("#original").is_visible() == beside
        assert bool(page.locator("#small").inner_text()) == (side != native)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.documentElement.scrollHeight") <= height


def test_keys_and_the_original(browser: Browser, large: Shown) -> None:
    held: list[Route] = []
    with window(browser) as page:
        page.route("**/t/0/left.png", lambda route: held.append(route))
        begin(page, large.link)
        page.wait_for_timeout(300)
        page.keyboard.press("f")  # before there is a picture
        held[0].continue_()
        wait_for(page, 0)
        count = page.locator("#count")
        page.locator("#left").focus()
        page.keyboard.down("Space")
        assert all(over.is_visible() for over in page.locator(".over").all())
        page.keyboard.press("f")  # the pictures are covered
        page.keyboard.up("Space")
        assert not any(over.is_visible() for over in page.locator(".over").all())
        page.keyboard.press("Control+f")
        page.keyboard.press("x")
        page.wait_for_timeout(500)
        expect(count).to_have_text("1 of 16")
        page.keyboard.down("j")
        for _ in range(30):  # held down, it repeats
            page.keyboard.down("j")
            page.wait_for_timeout(50)
        page.keyboard.up("j")
        expect(count).to_have_text("2 of 16")
        page.locator("#right").dblclick()
        page.get_by_role("button", name="Start").click()
        expect(count).to_have_text("3 of 16")
        observer = page.url.split("/")[-1]
    answers = [a.choice for a in Store(large.study.answers).answers() if a.observer == observer]
    assert answers == ["right", "right"]


def test_two_tabs_answer_no_trial_twice(browser: Browser, large: Shown) -> None:
    with window(browser) as first, window(browser) as second:
        personal = begin(first, large.link)
        second.goto(personal)
        second.get_by_role("button", name="Start").click()
        for page, number, key in ((first, 0, "f"), (second, 0, "j"), (second, 1, "j"), (first, 1, "f")):
            wait_for(page, number)
            page.keyboard.press(key)
        for page in (first, second):
            expect(page.locator("#practised")).to_be_visible()
        observer = personal.split("/")[-1]
    answers = [a.choice for a in Store(large.study.answers).answers() if a.observer == observer]
    assert answers == ["left", "right"]


def test_a_link_that_is_not_known_is_said_so(browser: Browser, large: Shown) -> None:
    with window(browser) as page:
        begin(page, large.link)
        wait_for(page, 0)
        page.route("**/t/*", lambda route: route.fulfill(status=404, body="There is nothing at this address."))
        page.keyboard.press("f")
        expect(page.locator("#problem")).to_contain_text("There is nothing at this address.")
        page.unroute("**/t/*")
