"""What Prometheus reads at ``/metrics``."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from forecaster.serving.messages import Answer

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)  # seconds
_LABELS = ("model", "name", "version", "alias", "run_id", "trained_until")

disable_created_metrics()  # a second time series for each


class Metrics:
    """The counters of a server. ``waiting``: how many requests wait for the model now."""

    def __init__(self, about: Mapping[str, Any], waiting: Callable[[], int]) -> None:
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "forecaster_requests",
            "Requests; status 499: the client did not wait for the answer.",
            ("path", "status"),
            registry=own,
        )
        self._seconds = Histogram(
            "forecaster_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ("path",),
            buckets=_BUCKETS,
            registry=own,
        )
        self.in_progress = Gauge(
            "forecaster_requests_in_progress", "Requests under way, waiting or not.", registry=own
        )
        queue = Gauge(
            "forecaster_requests_waiting", "Requests that wait for the model.", registry=own
        )
        queue.set_function(waiting)
        self._rows = Counter("forecaster_forecast_rows", "Rows of forecasts.", registry=own)
        self._model = Info("forecaster_model", "The model in service.", registry=own)
        self._loaded = Gauge(
            "forecaster_model_loaded_timestamp_seconds",
            "When the model in service was loaded, in seconds since 1970.",
            registry=own,
        )
        self._reloads = Counter(
            "forecaster_model_reloads", "Exchanges of the model in service.", registry=own
        )
        self._failures = Counter(
            "forecaster_model_reload_failures",
            "Looks at the alias, and loads of its version, that failed.",
            registry=own,
        )
        self._serve(about)

    def answered(self, path: str, answer: Answer, seconds: float) -> None:
        """Count a request; ``path``: one of few."""
        self._requests.labels(path, answer.status).inc()
        self._seconds.labels(path).observe(seconds)
        self._rows.inc(answer.rows)

    def exchanged(self, about: Mapping[str, Any] | None) -> None:
        """Count an exchange of the model for another one; None: one that failed."""
        if about is None:
            self._failures.inc()
            return
        self._reloads.inc()
        self._serve(about)

    def answer(self) -> Answer:
        """All of them, in Prometheus' text format."""
        return Answer(200, generate_latest(self._registry), kind=CONTENT_TYPE_LATEST)

    def _serve(self, about: Mapping[str, Any]) -> None:
        self._model.info({name: str(about[name] or "") for name in _LABELS})
        self._loaded.set(datetime.fromisoformat(about["loaded_at"]).timestamp())
