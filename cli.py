"""``python cli.py …`` from a checkout: the same program as the installed ``forecaster``."""

from forecaster.commands.main import main

if __name__ == "__main__":
    main()
