from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from dlmap.study.definition import Study
from dlmap.study.simulate import CARELESS, Habits, is_simulated, preference, simulate
from dlmap.study.trials import ORIGINAL, Answer
from mslique import UserError

TRUTH = {"a": 1.0, "b": -1.0}
PHOTOS = [f"{k}.png" for k in range(30)]
PLAIN = Habits(side_bias=0.5, side_spread=0, taste=0, photo_effect=0, lapse=0)


def simulated(habits: Habits, observers: int = 40, careless: int = 0, seed: int = 0) -> list[Answer]:
    return simulate(TRUTH, PHOTOS, observers, careless, 60, habits, np.random.default_rng(seed))


def share(answers: list[Answer], left: str) -> float:
    chosen = [a.choice == "left" for a in answers if a.kind == "pair" and a.left == left]
    return sum(chosen) / len(chosen)


def test_choices_follow_the_scores_and_the_side() -> None:
    answers = simulated(PLAIN)
    assert share(answers, "a") == pytest.approx(expit(2.5), abs=0.03)
    assert share(answers, "b") == pytest.approx(expit(-1.5), abs=0.03)
    catches = [a for a in answers if a.kind == "catch"]
    assert len(catches) == 40 * 8 and all((a.left == ORIGINAL) == (a.choice == "left") for a in catches)


def test_lapses_are_a_coins() -> None:
    answers = simulated(Habits(0.5, 0, 0, 0, lapse=0.4))
    assert share(answers, "a") == pytest.approx(0.6 * expit(2.5) + 0.2, abs=0.03)


@pytest.mark.parametrize("name", ["side_spread", "taste", "photo_effect"])
def test_what_varies_draws_choices_to_a_half(name: str) -> None:
    answers = simulated(Habits(**({"side_bias": 0, "side_spread": 0, "taste": 0, "photo_effect": 0} | {name: 4.0})))
    assert 0.45 < share(answers, "a") < 0.8 < expit(2)


def test_the_careless_are_named_and_do_not_look() -> None:
    answers = simulated(PLAIN, observers=9, careless=3)
    names = list(dict.fromkeys(a.observer for a in answers))
    assert len(names) == 9 and all(map(is_simulated, names))
    for kind in CARELESS:
        (theirs,) = ([a for a in answers if a.observer == name] for name in names if name.endswith(kind))
        left = sum(a.choice == "left" for a in theirs) / len(theirs)
        fast = np.median([a.seconds for a in theirs if a.seconds is not None])
        assert (abs(left - 0.5) > 0.4) == (kind == "one-sided") and (fast < 0.4) == (kind == "hasty")


def test_every_observer_judges_the_cells_least_used() -> None:
    cells = Counter((a.photo, a.left) for a in simulated(PLAIN, observers=4) if a.kind == "pair")
    assert set(cells.values()) == {4} and len(cells) == 60


def test_the_seed_decides() -> None:
    assert simulated(PLAIN, 3, 1) == simulated(PLAIN, 3, 1) != simulated(PLAIN, 3, 1, seed=1)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path, ("a", "b", "c"), ("1.png", "2.png"), "token")


def test_the_first_is_the_best_unless_scores_are_given(study: Study) -> None:
    assert preference(study, None, None) == {"a": 0.5, "b": 0, "c": -0.5}
    assert preference(study, ["c=2", "a=-1e-1", "b=0"], None) == {"a": -0.1, "b": 0, "c": 2}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a=1", "b=2"], "each contestant of the study: a, b, c"),
        (["a=1", "b", "c=2"], "NAME=VALUE"),
        (["a=x"], "numbers"),
    ],
)
def test_wrong_scores_are_refused(study: Study, texts: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        preference(study, texts, None)


def test_a_judge_prefers_what_it_scored_higher(study: Study) -> None:
    with pytest.raises(UserError, match="dlmap study score"):
        preference(study, None, "liqe")
    lines = [f"{photo},{name},{judge},0,{value + bonus}" for photo, bonus in (("1.png", -2), ("2.png", 2))
             for judge, values in (("liqe", (50, 40, 60)), ("other", (0, 0, 0)))
             for name, value in zip(("a", "b", "c"), values, strict=True)]  # fmt: skip
    (study.folder / "scores.csv").write_text("\n".join(["photo,contestant,judge,raw,calibrated", *lines]))
    assert preference(study, None, "liqe") == pytest.approx({"a": 0, "b": -1, "c": 1})
    with pytest.raises(UserError, match="no scores by 'musiq'"):
        preference(study, None, "musiq")
