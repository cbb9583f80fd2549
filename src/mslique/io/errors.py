"""The one exception that a command shows as a sentence instead of a traceback."""


class UserError(ValueError):
    """A mistake in what the user gave (a path, an option, a file), with the way out in its message."""
