"""``python cli.py …`` from a checkout: the same program as the installed ``forecaster``."""

from forecaster.commands.main import main, run

__all__ = ["main"]

if __name__ == "__main__":
    run()
