"""The bounds of the screening of observers: options of ``dlmap study rank``."""

from dataclasses import dataclass, field

from mslique import UserError


@dataclass(frozen=True)
class Bounds:
    """The bounds of the rules; see :func:`~.screening.screen`."""

    fewest: int = field(default=10, metadata={"help": "answers to pairs that an observer must have given"})
    attentive: float = field(default=0.95, metadata={"help": "share of catch trials that one who looks gets right"})
    one_sided: float = field(default=0.9, metadata={"help": "share of answers that may fall on one side"})
    fast: float = field(default=0.4, metadata={"help": "seconds below which nobody can have compared two pictures"})
    fast_share: float = field(default=0.3, metadata={"help": "share of answers that may be as fast as that"})

    def __post_init__(self) -> None:
        for name in ("attentive", "one_sided", "fast_share"):
            if not 0 <= getattr(self, name) <= 1:
                option = f"--{name.replace('_', '-')}"
                raise UserError(f"{option} is a share between 0 and 1, got {getattr(self, name):g}")
