"""The simulated studies of the benchmark: their truth, and that the command runs."""

import sys
from pathlib import Path

import pytest
import study
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from dlmap.study.simulate import Habits

ROOT = Path(__file__).parents[2]


def test_without_variation_the_truth_is_what_was_given() -> None:
    found = study.population({"a": 1.0, "b": 0.5, "c": -1.5}, Habits(0.2, 0, 0, 0, 0))
    assert found == pytest.approx({"a": 1.0, "b": 0.5, "c": -1.5, "side": 0.2}, abs=1e-4)


def test_the_truth_of_two_is_an_integral() -> None:
    """With a free score and a free side, two models' expected choices are met exactly."""
    habits = Habits(side_bias=0.4, side_spread=0.3, taste=0.5, photo_effect=0.7, lapse=0.1)
    deviation = (0.3**2 + 2 * 0.5**2 + 2 * 0.7**2) ** 0.5

    def chance(gap: float) -> float:
        mean = quad(lambda z: expit(gap + 0.4 + deviation * z) * norm.pdf(z), -9, 9)[0]
        return float(0.9 * mean + 0.05)

    first, second = logit(chance(1.0)), logit(chance(-1.0))
    expected = {"a": (first - second) / 4, "b": (second - first) / 4, "side": (first + second) / 2}
    assert study.population({"a": 0.5, "b": -0.5}, habits) == pytest.approx(expected, abs=1e-4)


def test_a_row_for_every_setting(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["study.py", "--studies", "1"])
    study.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {setting.name}" for setting in study.SETTINGS]
    assert {line.count(" | ") for line in lines[2:]} == {len(study.COLUMNS) - 1}
