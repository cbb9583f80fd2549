from types import SimpleNamespace
from typing import Any

import pytest

from mslique import UserError, training_steps

ENDS: dict[str, Any] = {
    "accumulate_grad_batches": 1,
    "estimated_stepping_batches": 6,
    "num_training_batches": 3,
    "max_epochs": 2,
    "max_steps": -1,
}


def test_the_steps_are_those_of_the_trainer() -> None:
    assert training_steps(SimpleNamespace(**ENDS)) == 6  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"max_epochs": -1, "estimated_stepping_batches": float("inf")},
        {"num_training_batches": float("inf")},
        {"max_epochs": 0},
        {"max_steps": 0},
    ],
)
def test_a_training_without_an_end_or_a_step_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="give --trainer.max_epochs of 1 or more"):
        training_steps(SimpleNamespace(**{**ENDS, **change}))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="accumulate_grad_batches is 0: give 1 or more"):
        training_steps(SimpleNamespace(**{**ENDS, "accumulate_grad_batches": 0}))  # type: ignore[arg-type]
