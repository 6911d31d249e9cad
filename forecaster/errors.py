"""The one error that a user can cause."""


def one_line(text: str, longest: int = 1000) -> str:
    """``text`` without what would break a line or steer a terminal, its middle left out where it is
    very long.
    """
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))
    half = longest // 2
    return line if len(line) <= longest else f"{line[:half]} … {line[-half:]}"


class UserError(Exception):
    """A mistake in data, configuration or a saved model.

    The message is one line: what is wrong, where (file, line, column), and what to do about it. The
    command line prints it and exits with status 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
