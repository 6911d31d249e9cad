"""The roles of a table's columns, as keyword arguments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from pydantic import ValidationError

from forecaster.config.choices import Aggregate, MissingColumn, OnDead, OnShort, TableLayout
from forecaster.config.load import reason
from forecaster.config.schema import Columns
from forecaster.data.frames import roles_of_fields
from forecaster.data.reading import RawTable
from forecaster.errors import UserError


class Roles(TypedDict, total=False):
    """Column roles and policies for reading a table.

    Roles that are not given are detected; later tables are read like the training table.

    ``header``: whether a CSV file begins with a line of names; ``layout``: how the table stands,
    ``wide``, ``long``, ``series-in-rows``, ``dates-across`` or ``periods-across``;
    ``timestamp``: the time column, or those that give it together (``Date,Time``); ``target``: the
    value columns; ``item_id``: the columns that name the series of a long table; ``decimal``,
    ``thousands``: the marks in numbers; ``missing``: what else stands for a missing value, such as
    ``-999``; ``freq``: the interval, such as ``15min``, ``D``, ``MS``; ``calendar_of``: the
    exchange whose trading days the rows are; ``timezone``: of local times; ``date_format``: how
    dates are written (``dmy``, ``mdy``, a strptime format); ``locale``: the language of names of
    months; ``snap``: the step to the nearest of which times are moved; ``resample``: the step whose
    rows are put together, and ``aggregate``: what they, or those of ``freq`` or a time, become
    (``mean``, ``sum``, ``last`` …); ``on_gap``, ``on_duplicate``: what to do about missing and
    repeated times; ``on_short``, ``on_dead``: about series too short, or without a value in
    what is read: ``skip`` them, or forecast them by a ``fallback``; ``missing_column``: whether a
    column of the model that a table lacks is ``masked``; ``align``: whether all series end at one
    time; ``known``, ``past``, ``static``: the columns of covariates that are known ahead, of the
    history alone, or the same in all rows of a series; ``static_file``: the path of a file of the
    latter, a row an item; ``calendar``: groups of features of the calendar, such as ``auto``;
    ``holidays``: countries, or parts of them, such as ``US-CA``; ``prior_column``: a forecast of
    one's own for each value column; ``categorical``: covariates whose numbers are codes.
    """

    header: bool | None
    layout: TableLayout | None
    timestamp: str | Sequence[str] | None
    target: str | Sequence[str] | None
    item_id: str | Sequence[str] | None
    decimal: Literal[".", ","] | None
    thousands: Literal[",", ".", "'", "space"] | None
    missing: str | float | Sequence[str | float] | None
    freq: str | None
    calendar_of: str | None
    timezone: str | None
    date_format: str | None
    locale: str | None
    snap: str | None
    resample: str | None
    aggregate: Aggregate | None
    on_gap: Literal["error", "fill", "zero"] | None
    on_duplicate: Literal["error", "first", "last", "mean"] | None
    on_short: OnShort | None
    on_dead: OnDead | None
    missing_column: MissingColumn | None
    align: Literal["end"] | None
    known: str | Sequence[str] | None
    past: str | Sequence[str] | None
    static: str | Sequence[str] | None
    static_file: str | Path | None
    calendar: str | Sequence[str] | None
    holidays: str | Sequence[str] | None
    prior_column: str | Sequence[str] | None
    categorical: str | Sequence[str] | None


def read_roles(
    roles: Roles, function: str, source: Path | RawTable | None = None
) -> dict[str, Any]:
    """Validate roles. Raises TypeError for an unknown name, UserError for an invalid value.

    ``source``: of a GluonTS data set its fields of covariates have theirs, unless they are given.
    """
    for name in roles:
        if name not in Roles.__annotations__:
            raise TypeError(f"{function}() got an unexpected keyword argument '{name}'")
    given = dict(cast(Mapping[str, Any], roles))
    if isinstance(given.get("target"), str):
        given["target"] = (given["target"],)
    known = {} if source is None else dict[str, Any](roles_of_fields(source))
    known |= {name: value for name, value in given.items() if value is not None}
    try:
        columns = Columns(**known)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{function}: {first['loc'][0]}: {reason(first)}; correct it") from error
    return {name: getattr(columns, name) for name in known}
