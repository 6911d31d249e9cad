"""The one error that a user can cause."""

import os
import re

_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_USER = re.compile(r"(?<=://)[^\s/?#]*@")  # user:password@ of an address
_PASSWORD = re.compile(
    r"(?i)(?<=[?&;])((?:password|passwd|pwd|token|secret|api_?key)=)[^\s&;#'\")]+"
)


def masked(text: str) -> str:
    """``text`` without the user and password of addresses, and without those of the environment."""
    text = _PASSWORD.sub(r"\1***", _USER.sub("***@", text))
    for name in _SECRETS:
        if secret := os.environ.get(name):
            text = text.replace(secret, "***")
    return text


def printable(text: str) -> str:
    """``text`` with what would break a line or steer a terminal written as codes."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def one_line(text: str, longest: int = 1000) -> str:
    """``text`` in one printable line, its middle left out where it is very long."""
    line = printable(" ".join(text.split()))
    half = longest // 2
    return line if len(line) <= longest else f"{line[:half]} … {line[-half:]}"


class UserError(Exception):
    """A mistake in data, configuration or a saved model.

    The message is one line: what is wrong, where (file, line, column), and what to do about it,
    without any password. The command line prints it and exits with status 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(masked(message)))
