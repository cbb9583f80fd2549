import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import make_study, photographs
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from starlette.testclient import TestClient

from dlmap.study.definition import Study
from dlmap.study.options import Plan
from dlmap.study.server import application, degraded, picture
from dlmap.study.store import Store
from dlmap.study.trials import DEGRADED, ORIGINAL, Trial

ROOT = "/s/token-of-the-test"
PLAN = Plan(trials=6, catches=1, practice=2, break_every=3)
FACTS = {"screenWidth": 1920, "pixelRatio": 1.25, "agent": "Mozilla/5.0", "language": "de-DE"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return make_study(tmp_path_factory.mktemp("study"), photographs(48))


@pytest.fixture
def page(study: Study) -> TestClient:
    study.answers.unlink(missing_ok=True)
    return TestClient(application(study, PLAN), raise_server_exceptions=False)


@pytest.fixture
def home(page: TestClient) -> str:
    """The address of a new observer."""
    reply = page.post(f"{ROOT}/observers", json=FACTS)
    assert reply.status_code == 201
    return f"{ROOT}/o/{reply.json()['observer']}"


def test_a_whole_session(page: TestClient, home: str, study: Study) -> None:
    preview, state = (page.get(f"{where}/state").json() for where in (ROOT, home))
    assert preview == state
    assert state == {"question": study.question, "total": 9, "practice": 2, "breakEvery": 3, "next": 0}
    for number in range(9):
        reply = page.post(f"{home}/t/{number}", json={"choice": "left", "seconds": number / 4})
        assert reply.status_code == 200 and reply.json()["status"] == "recorded"
        assert reply.json()["next"] == page.get(f"{home}/state").json()["next"] == (number + 1 if number < 8 else None)
    answers = Store(study.answers).answers()
    assert [answer.seconds for answer in answers] == [number / 4 for number in range(9)]
    assert [answer.kind for answer in answers].count("catch") == 1
    assert list(Store(study.answers).facts().values()) == [FACTS]


def test_an_answer_sent_again_changes_nothing(page: TestClient, home: str, study: Study) -> None:
    """As after a lost confirmation, or from a second tab: the page learns where to go on."""
    page.post(f"{home}/t/0", json={"choice": "left", "seconds": 1})
    page.post(f"{home}/t/1", json={"choice": "right", "seconds": None})
    reply = page.post(f"{home}/t/0", json={"choice": "right", "seconds": 2})
    assert reply.status_code == 200 and (reply.json()["status"], reply.json()["next"]) == ("already", 2)
    assert [(a.choice, a.seconds) for a in Store(study.answers).answers()] == [("left", 1.0), ("right", None)]


def test_observers_have_trials_of_their_own(page: TestClient, home: str, study: Study) -> None:
    page.post(f"{ROOT}/observers", json={})
    first, second = (Store(study.answers).trials(observer) for observer in Store(study.answers).facts())
    shown = [{(t.photo, t.left, t.right) for t in trials if t.kind == "pair"} for trials in (first, second)]
    assert len(shown[0] | shown[1]) == 12  # all of 2 photographs x 6 orders


def test_pictures_do_not_tell_whose_they_are(page: TestClient, home: str, study: Study) -> None:
    trials = Store(study.answers).trials(home.split("/")[-1])
    kinds = set()
    for number, trial in enumerate(trials):
        for place in ("left", "right", "original"):
            reply = page.get(f"{home}/t/{number}/{place}.png")
            assert reply.content[:8] == b"\x89PNG\r\n\x1a\n" and reply.headers["content-type"] == "image/png"
            assert reply.headers["cache-control"].startswith("private")
            kinds.add(tuple(sorted(reply.headers)))
        if trial.kind == "pair":
            assert page.get(f"{home}/t/{number}/left.png").content == study.output(trial.left, trial.photo).read_bytes()
    assert kinds == {tuple(sorted(reply.headers))}
    assert not {"etag", "last-modified", "content-disposition"} & set(reply.headers)
    spoken = page.get(home).text + page.get(f"{home}/state").text
    assert not any(name in spoken for name in (*study.contestants, *study.photos))


def test_only_what_exists_is_found(page: TestClient, home: str) -> None:
    observer = home.split("/")[-1]
    wrong = [
        "/", "/s", "/s/", "/favicon.ico", f"{ROOT}/", f"{home}/", "/s/token-of-the-tes", "/s/token-of-the-test2",
        "/s/%C3%BC", "/s/wrong/state",
        f"/s/wrong/o/{observer}/state", f"{ROOT}/o/{observer[:-1]}", f"{ROOT}/o/stranger/state", f"{ROOT}/o/%00",
        f"{ROOT}/o/' OR 1=1 --/state", f"{home}/t/9/left.png", f"{home}/t/-1/left.png", f"{home}/t/x/left.png",
        f"{home}/t/{'9' * 5000}/left.png", f"{home}/t/%C2%B2/left.png", f"{home}/t/0/middle.png",
        f"{home}/t/0/left.jpg",
        f"{home}/t/0/..%2f..%2fstudy.json", f"{home}/t/0/../../../../study.json", f"{home}/t/0/%2e%2e/study.json.png",
        f"{ROOT}/..%2f..%2fstudy.json", f"{ROOT}/study.json", f"{ROOT}/originals/astronaut.png",
    ]  # fmt: skip
    assert {address: page.get(address).status_code for address in wrong} == dict.fromkeys(wrong, 404)
    answer = {"choice": "left", "seconds": 1}
    for address in (f"{home}/t/9", f"{ROOT}/o/stranger/t/0", f"/s/wrong/o/{observer}/t/0", "/s/wrong/observers"):
        assert page.post(address, json=answer).status_code == 404


def test_a_picture_that_is_gone_is_said_so(tmp_path: Path) -> None:
    study = make_study(tmp_path, photographs(16))
    page = TestClient(application(study, PLAN))
    home = f"{ROOT}/o/{page.post(f'{ROOT}/observers', json={}).json()['observer']}"
    study.original(Store(study.answers).trials(home.split("/")[-1])[0].photo).unlink()
    reply = page.get(f"{home}/t/0/original.png")
    assert reply.status_code == 404 and "is gone" in reply.text


def test_wrong_methods(page: TestClient, home: str) -> None:
    for address in (ROOT, f"{ROOT}/state", home, f"{home}/state", f"{home}/t/0/left.png"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert page.request(method, address).status_code == 405
    for address in (f"{ROOT}/observers", f"{home}/t/0"):
        assert page.get(address).status_code == page.put(address).status_code == 405


BAD_BODIES = [
    b"", b"{", b"\xff", b"[]", b"null", b'"left"', b"{}", b'{"choice": "left", "seconds": NaN}', b"[" * 8000,
    b'{"choice": "both", "seconds": 1}', b'{"choice": null}', b'{"choice": ["left"]}', b'{"choice": {"left": 1}}',
    b'{"choice": "left", "seconds": -1}', b'{"choice": "left", "seconds": "1"}', b'{"choice": "left", "seconds": true}',
    b'{"choice": "left", "seconds": 1e999}', b'{"choice": "left", "seconds": 1' + b"0" * 400 + b"}",
    b'{"choice": "left", "seconds": 1' + b"0" * 6000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_answers_that_are_none(page: TestClient, home: str, study: Study, body: bytes) -> None:
    assert page.post(f"{home}/t/0", content=body).status_code == 400
    assert Store(study.answers).answers() == []


@pytest.mark.parametrize(
    "facts",
    [{"screenWidth": "wide"}, {"screenWidth": True}, {"pixelRatio": 1e300}, {"agent": 5}, {"agent": "a" * 301},
     {"agent": "=cmd|' /C calc'!A0"}, {"language": "\ud800"}, {"language": None}],
)  # fmt: skip
def test_facts_that_are_none(page: TestClient, study: Study, facts: dict[str, Any]) -> None:
    assert page.post(f"{ROOT}/observers", content=json.dumps(facts)).status_code == 400
    assert Store(study.answers).facts() == {}


def test_unknown_facts_are_not_kept(page: TestClient, study: Study) -> None:
    assert page.post(f"{ROOT}/observers", json={"name": "Alice", "language": ""}).status_code == 201
    assert list(Store(study.answers).facts().values()) == [{"language": ""}]


@pytest.mark.parametrize("address", ["/observers", "/o/stranger/t/0"])
def test_large_bodies(page: TestClient, study: Study, address: str) -> None:
    assert page.post(ROOT + address, content=b"{" + b" " * 9000 + b"}").status_code == 413
    pieces = (b" " * 1000 for _ in range(10))  # without a Content-Length
    assert page.post(ROOT + address, content=pieces).status_code == 413
    assert Store(study.answers).facts() == {}


def test_headers_of_every_answer(page: TestClient, home: str) -> None:
    for address in (ROOT, home, f"{home}/state", f"{home}/t/0/left.png", f"{home}/t/99/left.png", "/s/wrong", "/"):
        headers = page.get(address, headers={"Origin": "https://elsewhere.example"}).headers
        policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
        assert all(re.fullmatch(r"'sha256-[\w+/]{43}='", policy[name]) for name in ("script-src", "style-src"))
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert not [name for name in headers if name.startswith("access-control")]


def test_the_page_needs_nothing_else(page: TestClient) -> None:
    text = page.get(ROOT).text
    assert not re.findall(r"https?:|//[a-z]+\.|@import|url\(|style=|onclick|innerHTML", text)


def test_a_study_of_its_own_question(study: Study, tmp_path: Path) -> None:
    page = TestClient(application(study, PLAN, question="Welches Bild ist </script> schöner?"))
    assert page.get(f"{ROOT}/state").json()["question"] == "Welches Bild ist </script> schöner?"


def test_each_place_has_its_file(study: Study) -> None:
    trial = Trial("pair", "sub/chelsea.png", "sharp", "grainy")
    assert picture(study, trial, "left") == (study.folder / "outputs/sharp/sub/chelsea.png").read_bytes()
    assert picture(study, trial, "right") == (study.folder / "outputs/grainy/sub/chelsea.png").read_bytes()
    assert picture(study, trial, "original") == (study.folder / "originals/sub/chelsea.png").read_bytes()


def test_a_catch_trial_is_easy(tmp_path: Path) -> None:
    """Its worse side differs more from the photograph than a blur of 2 pixels does, and is always the same."""
    study, trial = make_study(tmp_path, photographs(96)), Trial("catch", "astronaut.png", DEGRADED, ORIGINAL)
    original, soft, worse = (
        np.asarray(Image.open(io.BytesIO(data)))
        for data in (
            picture(study, trial, "right"),
            study.output("soft", "astronaut.png").read_bytes(),
            picture(study, trial, "left"),
        )
    )
    assert worse.shape == original.shape == (96, 96, 3)
    assert peak_signal_noise_ratio(original, worse) < peak_signal_noise_ratio(original, soft)
    again = degraded(study.original("astronaut.png"))
    degraded.cache_clear()
    assert degraded(study.original("astronaut.png")) == again


def test_answers_that_cannot_be_saved_are_told_in_one_sentence(
    page: TestClient, home: str, study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    kept = study.answers.read_bytes()
    study.answers.write_bytes(b"not a database" * 200)
    replies = [
        page.post(f"{home}/t/0", json={"choice": "left"}),
        page.post(f"{ROOT}/observers", json={}),
        page.get(f"{home}/state"),
    ]
    assert [reply.status_code for reply in replies] == [503] * 3
    assert all("tell those who run it" in reply.text and str(study.folder) not in reply.text for reply in replies)
    assert (
        len(caplog.records) == 3 and "answers.sqlite cannot be used" in caplog.text and "Traceback" not in caplog.text
    )
    study.answers.write_bytes(kept)
    assert page.post(f"{home}/t/0", json={"choice": "left"}).json()["status"] == "recorded"
