"""What one request may ask for, and how it is refused."""

from forecaster.errors import UserError

BYTES = 32 << 20  # of a body
WAITING = 256  # requests
HELD = 4 * BYTES  # of their bodies
COLUMNS = 4_000
ROWS = 500_000
CELLS = 2_000_000
TABLES = 100  # in rows whose cells are arrays
SERIES = 2_000
SECONDS = 60  # for an answer to be computed
LEVELS = 200  # quantiles
DRAWN = 4_000_000  # numbers of all sample paths, in all sampling steps
USUAL = 100  # samples of one series, which are drawn whatever their length
UNPACKED = 128 << 20  # bytes of a Parquet table
ODD_CELL = "the table: a cell is an object, or a list of lists; write plain values"


class RefusedError(Exception):
    """A request that is answered with a status and one line, which repeats nothing of it."""

    def __init__(self, status: int, line: str) -> None:
        self.status, self.line = status, line
        super().__init__(line)


class TooMuchError(UserError):
    """More work than one request may ask for."""


def check_size(rows: int, columns: int) -> None:
    """Raise RefusedError for a table beyond the limits."""
    for name, size, most in (
        ("columns", columns, COLUMNS),
        ("rows", rows, ROWS),
        ("cells", rows * columns, CELLS),
    ):
        if size > most:
            raise RefusedError(
                413, f"a table of more than {most} {name}; send less of it at a time"
            )


def check_tables(rows: int) -> None:
    """Raise RefusedError for more tables, in rows whose cells are arrays, than the limit."""
    if rows > TABLES:
        raise RefusedError(413, f"more than {TABLES} tables; send fewer at a time")


def check_work(series: int, values: int, samples: int, steps: int, levels: int) -> None:
    """Raise TooMuchError for a forecast beyond the limits; ``values``: numbers of one path."""
    if levels > LEVELS:
        raise TooMuchError(f"params: 'quantiles': more than {LEVELS}; ask for fewer")
    if series > SERIES:
        raise TooMuchError(f"more than {SERIES} series; send fewer at a time")
    if series * samples > USUAL and series * values * samples * steps > DRAWN:
        raise TooMuchError(
            f"series × samples × horizon × columns × steps is above {DRAWN}; ask for fewer "
            "samples, or send fewer series at a time"
        )
    if series * values * (levels + 2) > CELLS:
        raise TooMuchError(
            f"the answer would have more than {CELLS} cells; ask for fewer quantiles, or send "
            "fewer series at a time"
        )
