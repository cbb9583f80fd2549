"""What samplers share that compute x_{i-1} from x_i and x_{i+1}: the pair is of neighbours, x_i in sequence i mod 2.

How such a sampler begins is [ours]; the published samplers keep the pair (x_N, x_{N-1}) as the noise. Here the noise
state is (x_N, x_N + d), d the difference of x_{N-1} from a DDIM step. Its first move,

    x_{N-1} = (x_N + d) + (a - 1) x_N + b u(x_N, N),

is that step where the two are equal, so that both sequences are noise of unit variance, one sample taken twice starts a
generation as published, and a displacement of both alike displaces no d. At the data end x_1 follows from x_0 by a step
of DDIM inversion, x_1 = (x_0 - b u(x_0, 1)) / a, which keeps order 2 since it is taken once.
"""

from abc import ABC, abstractmethod

from ..schedule import Schedule
from .move import Move


class TwoStep(ABC):
    """Sampler whose ``step`` overwrites x_{i+1} by x_{i-1}; it ends with x_0 in sequence 0 and x_1 in sequence 1."""

    images = 1

    def __init__(self, schedule: Schedule) -> None:
        last = schedule.num_steps
        a, b = schedule.jump(last, last - 1)
        self.moves = [Move((last - 1) % 2, 1.0, a - 1, b, last)]
        self.moves += [self.step(schedule, i) for i in range(last - 1, 0, -1)]
        a, b = schedule.jump(1, 0)
        self.start = [Move(1, a, 0.0, b, 1)]

    @abstractmethod
    def step(self, schedule: Schedule, i: int) -> Move:
        """The move that makes x_{i-1} of x_{i+1}, 0 < i < N."""
