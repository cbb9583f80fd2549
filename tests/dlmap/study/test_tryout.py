from pathlib import Path

import numpy as np
import pytest

from dlmap.study import Study
from dlmap.study.simulate import Habits, simulate
from dlmap.study.store import Store
from dlmap.study.tryout import as_given, as_judged, fill, in_order
from mslique import UserError


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path, ("a", "b", "c"), ("1.png", "2.png"), "token")


def test_the_first_is_the_best_unless_scores_are_given(study: Study) -> None:
    assert in_order(study) == {"a": 0.5, "b": 0, "c": -0.5}
    assert as_given(study, ["c=2", "a=-1e-1", "b=0"]) == {"a": -0.1, "b": 0, "c": 2}


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
        as_given(study, texts)


def test_a_judge_prefers_what_it_scored_higher(study: Study) -> None:
    with pytest.raises(UserError, match="dlmap study score"):
        as_judged(study, "liqe")
    lines = [f"{photo},{name},{judge},0,{value + bonus}" for photo, bonus in (("1.png", -2), ("2.png", 2))
             for judge, values in (("liqe", (50, 40, 60)), ("other", (0, 0, 0)))
             for name, value in zip(("a", "b", "c"), values, strict=True)]  # fmt: skip
    (study.folder / "scores.csv").write_text("\n".join(["photo,contestant,judge,raw,calibrated", *lines]))
    assert as_judged(study, "liqe") == pytest.approx({"a": 0, "b": -1, "c": 1})
    with pytest.raises(UserError, match="no scores by 'musiq'"):
        as_judged(study, "musiq")


def test_answers_go_into_a_study_that_has_none(study: Study) -> None:
    answers = simulate(in_order(study), study.photos, 3, 1, 6, Habits(), np.random.default_rng(0))
    fill(study, answers)
    stored = Store(study.answers).answers()
    assert {(a.observer, a.kind, a.photo, a.left, a.right, a.choice, a.seconds) for a in stored} == {
        (a.observer, a.kind, a.photo, a.left, a.right, a.choice, a.seconds) for a in answers
    }
    assert len(stored) == len(answers) and all(f == {"simulated": True} for f in Store(study.answers).facts().values())


def test_answers_never_go_among_others(study: Study) -> None:
    Store(study.answers).begin("ann", {}, lambda taken: [])  # she has only opened the page
    with pytest.raises(UserError, match="must not be mixed: .*--output FILE.csv"):
        fill(study, [])
