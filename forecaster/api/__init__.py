"""The Python interface, exported by the package ``forecaster``: the commands, on frames.

Nothing is printed; mistakes raise ``UserError`` with the command line's messages.
"""
