"""The one error that a user can cause."""


class UserError(Exception):
    """A mistake in data, configuration or a saved model.

    The message is one line: what is wrong, where (file, line, column), and what to do about it.
    The command line prints it and exits with status 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
