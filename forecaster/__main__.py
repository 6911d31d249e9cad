"""``python -m forecaster``: the command line."""

from forecaster.commands.main import main

main(prog_name="forecaster")
