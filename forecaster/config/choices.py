"""The choices of options that the command line names, without the libraries that check them."""

from typing import Literal

Aggregate = Literal["mean", "sum", "first", "last", "min", "max", "median", "count"]
# what to do with a series too short, or with one that is dead
OnShort = Literal["error", "pad", "skip", "fallback", "drop"]
OnDead = Literal["error", "skip", "fallback"]
MissingColumn = Literal["error", "masked"]
# how a table stands: upright, a row a series, or with times for columns
TableLayout = Literal["wide", "long", "series-in-rows", "dates-across", "periods-across"]
