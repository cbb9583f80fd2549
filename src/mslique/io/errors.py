"""The one exception that a command shows as a sentence instead of a traceback, and what such sentences need."""


class UserError(ValueError):
    """A mistake in what the user gave (a path, an option, a file), with the way out in its message."""


def in_short(reason: BaseException, most: int = 300) -> str:
    """The message of an error in one line, without what exceeds ``most`` characters."""
    return " ".join(str(reason).split())[:most]


def at_least(least: float, **options: float | None) -> None:
    """Raise a UserError that names the first of the options that is smaller (or NaN); None is allowed."""
    for name, value in options.items():
        if value is not None and not value >= least:
            raise UserError(f"{name} is {value}: give {least:g} or more")


def above_zero(**options: float | None) -> None:
    """As :func:`at_least`, for numbers that must be greater than 0."""
    for name, value in options.items():
        if value is not None and not value > 0:
            raise UserError(f"{name} is {value}: give a number above 0")
