"""``python -m forecaster``: the command line."""

from forecaster.commands.main import run

run()
