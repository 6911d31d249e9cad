"""The choices of options that the command line names, without the libraries that check them."""

from typing import Literal

Aggregate = Literal["mean", "sum", "first", "last", "min", "max", "median", "count"]
