"""The Python interface, whose names are those of the package ``forecaster``: what the command line
does, with frames in and frames out.

Nothing is printed; a mistake raises ``UserError`` with the command line's message.
"""
