"""Sessions of observers: how long they are, how they are drawn, where each one is."""

import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from mslique import UserError

from .definition import Study
from .design import Cell, Trial, session
from .store import Store


@dataclass(frozen=True)
class Plan:
    """The length of a session that begins from now on.

    Args:
        trials: pairs to judge, at most as many as the study has.
        catches: catch trials mixed in among them.
        practice: trials before them that do not count.
        break_every: a rest is offered after so many trials; 0 for none.

    Raises:
        UserError: a number out of range.
    """

    trials: int = 120
    catches: int = 8
    practice: int = 3
    break_every: int = 40

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("catches", 0), ("practice", 0), ("break_every", 0)):
            if getattr(self, name) < least:
                option = name.replace("_", "-")
                raise UserError(f"--{option} must be at least {least}, got {getattr(self, name)}")


class Sessions:
    """The sessions of one study, kept in its store.

    Args:
        study: of which the trials are drawn.
        plan: of sessions that begin; one that has begun keeps its trials.
        question: what observers are asked; default: the study's.
    """

    def __init__(self, study: Study, plan: Plan, question: str | None = None) -> None:
        self.study = study
        self.plan = plan
        self.question = question or study.question
        self.store = Store(study.answers)
        self.preview = self._state(self._draw(Counter(), np.random.default_rng(0)), set())
        """What the page needs to know before a session begins."""

    def begin(self, facts: dict[str, Any]) -> str:
        """Draw and keep the trials of a new observer; returns the observer's random name.

        The draw follows from the study's seed, the observer's name and what the observers before were given.
        """
        observer = secrets.token_hex(8)
        rng = np.random.default_rng([self.study.seed, int(observer, 16)])
        self.store.begin(observer, facts, lambda taken: self._draw(taken, rng))
        return observer

    def state(self, observer: str, trials: list[Trial]) -> dict[str, Any]:
        """What the page needs to know of a session; ``next`` is the first open trial, None at the end."""
        return self._state(trials, self.store.answered(observer))

    def _draw(self, taken: Counter[Cell], rng: np.random.Generator) -> list[Trial]:
        plan, study = self.plan, self.study
        return session(study.contestants, study.photos, taken, rng, plan.trials, plan.catches, plan.practice)

    def _state(self, trials: list[Trial], answered: set[int]) -> dict[str, Any]:
        return {
            "question": self.question,
            "total": len(trials),
            "practice": sum(trial.kind == "practice" for trial in trials),
            "breakEvery": self.plan.break_every,
            "next": next((number for number in range(len(trials)) if number not in answered), None),
        }
