"""The parts of a file, forecast by Spark on the cores of one or more machines.

Scheduling and retries are Spark's: a part whose process dies is forecast again.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import pyarrow as pa

from forecaster.config.program import install_extra
from forecaster.errors import UserError
from forecaster.inference.saved_model import SavedModel
from forecaster.workflows.engines import PartForecast, Recipe
from forecaster.workflows.workers import Sent, Worker, told

_GIVEN = "number long, part binary"
_FOUND = "number long, frame binary, decisions array<string>, series long, refusal string"
_ARROW = pa.schema(
    [
        ("number", pa.int64()),
        ("frame", pa.binary()),
        ("decisions", pa.list_(pa.string())),
        ("series", pa.int64()),
        ("refusal", pa.string()),
    ]
)
# parts at a time, a core
_AT_ONCE = 2
# what is set where Spark is started here: in this machine's own network, a task is tried four times
_HERE = {
    "spark.master": "local[*,4]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.authenticate": "true",
    "spark.ui.enabled": "false",
}
# what is set on a cluster, too: standard error is the command's
_QUIET = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}


def on_spark(saved: SavedModel, recipe: Recipe, parts: Iterable[bytes]) -> Iterator[PartForecast]:
    """Forecast parts by ``mapInArrow``, some at a time.

    Spark's session is the active one, or that of ``spark-submit`` or ``PYSPARK_SUBMIT_ARGS``, or is
    started here for the time of the forecast.
    """
    if saved.model.device.type == "cuda":
        raise UserError("--engine spark computes on the CPU; give --accelerator cpu")
    sql = import_spark()
    work, rest = forecasting(Sent.of(saved), recipe), iter(enumerate(parts))
    with session(sql) as spark:
        together = _AT_ONCE * spark.sparkContext.defaultParallelism
        while some := list(islice(rest, together)):
            found = spark.createDataFrame(some, _GIVEN).mapInArrow(work, _FOUND).collect()
            for row in sorted(found, key=lambda row: int(row["number"])):
                yield told(row.asDict())


def forecasting(
    sent: Sent, recipe: Recipe
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What maps numbered parts to their forecasts, batch by batch, in a worker."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        worker = None
        for batch in batches:
            worker = worker or Worker(sent, recipe)
            for row in batch.to_pylist():
                found = {"number": row["number"], **worker(row)}
                yield pa.RecordBatch.from_pylist([found], _ARROW)

    return work


def import_spark() -> Any:
    """Spark's SQL. Raises UserError if it, or the Java that it needs, is not installed."""
    try:
        import pyspark.sql
    except ImportError as error:
        raise UserError(f"--engine spark needs Spark: {install_extra('spark')}") from error
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        raise UserError(
            "--engine spark needs Java 17 or newer, and there is none here; install it (Debian: "
            "apt-get install openjdk-17-jre-headless), or set JAVA_HOME"
        )
    return pyspark.sql


@contextmanager
def session(sql: Any) -> Iterator[Any]:
    """A session; one that was there stays."""
    spark = sql.SparkSession.getActiveSession()
    if spark is not None:
        yield spark
        return
    builder = sql.SparkSession.builder.appName("forecaster").config(map=_QUIET)
    if not {"PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT"} & set(os.environ):
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", _HERE["spark.driver.host"])
        builder = builder.config(map=_HERE)
    try:
        spark = builder.getOrCreate()
    except Exception as error:  # of Py4J, or of Spark
        first = str(error).strip().partition("\n")[0]
        raise UserError(
            f"--engine spark: Spark does not start here ({first}); see its messages above, or "
            "leave --engine out"
        ) from error
    try:
        yield spark
    finally:
        spark.stop()
