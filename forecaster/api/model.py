"""A trained model, to forecast with, evaluate and save; and ``forecaster.load``."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Unpack

import pandas as pd
from gluonts.model.predictor import Predictor

from forecaster.api.arguments import (
    choice,
    folder_of,
    levels,
    seed_of,
    time_of,
    whole,
    whole_or_none,
)
from forecaster.api.configs import ACCELERATORS, Accelerator, nested
from forecaster.api.evaluation import Evaluation, evaluation_of
from forecaster.api.folders import remove_with, temporary_unless
from forecaster.api.forecast import Forecast
from forecaster.api.roles import Roles, read_roles
from forecaster.config.load import check_config
from forecaster.config.schema import Columns, Config
from forecaster.data.frames import read_source
from forecaster.data.reading import RawTable
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode, Scoring
from forecaster.inference.custom_code import trust_of
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import PredictionRequest, SavedPredictor, default_mode
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.io.atomic import check_model_folder, whole_folder
from forecaster.tracking.labels import title
from forecaster.training.progress import Silent
from forecaster.workflows.calibrate import CalibrateOptions, calibrate
from forecaster.workflows.evaluate_windows import EvaluateOptions, Rolling
from forecaster.workflows.forecast import ForecastSettings, forecast_with
from forecaster.workflows.run_context import RunContext
from forecaster.workflows.tracking_target import STORE, Tracker, tracker_of

MODES = ("point", "probabilistic")


class Model:
    """A trained model, in memory and in its ``folder``. ``notes``: remarks of its training.

    >>> import forecaster
    >>> model = forecaster.train("datasets/seattle_weather.csv", model="nlinear",
    ...     horizon=3, lookback=14, settings={"trainer.max_steps": 2}, tracking=False)
    >>> model, {"test/mae", "test/crps"} <= set(model.metrics), model.run_id
    (Model('NLinear', horizon=3), True, None)
    """

    def __init__(
        self,
        saved: SavedModel,
        tracker: Tracker = STORE,
        source: RawTable | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._saved, self._tracker, self._source = saved, tracker, source
        self.notes = tuple(notes)

    def __repr__(self) -> str:
        config = self._saved.config
        return f"Model('{title(config)}', horizon={config.data.horizon})"

    @property
    def folder(self) -> Path:
        """The folder of the saved model.

        Without tracking and ``output`` it is temporary, and removed with this object: see ``save``.
        """
        return self._saved.folder

    @property
    def run_id(self) -> str | None:
        """The id of the training's run; None without tracking."""
        run_id = self._saved.metadata.get("run_id")
        return None if run_id is None else str(run_id)

    @property
    def metrics(self) -> dict[str, float]:
        """The training's metrics on held-out windows (``val/…``, ``test/…``), in data units."""
        return dict(self._saved.metadata.get("metrics", {}))

    @property
    def verdict(self) -> str | None:
        """The training's comparison with seasonal naive on the test windows, in one sentence; None
        of a model that was saved before there was one.

        >>> import forecaster
        >>> model = forecaster.train("datasets/seattle_weather.csv", model="seasonal-naive",
        ...     horizon=3, lookback=14, tracking=False)
        >>> model.verdict.partition(" the forecasts ")[0], model.skill["percent"]
        ('On 290 past windows', 0.0)
        """
        found = self._saved.metadata.get("verdict")
        return None if found is None else str(found)

    @property
    def skill(self) -> dict[str, float | None]:
        """The figures of the verdict: ``percent`` closer than seasonal naive, ``low`` and ``high``
        of the 95 % interval, ``windows``.
        """
        return dict(self._saved.metadata.get("skill", {}))

    @property
    def trained_until(self) -> dict[str, pd.Timestamp]:
        """The last time that the model has learnt from or was chosen by, by item id ('': wide);
        with its zone where the data has one and steps shorter than a day.
        """
        return self._saved.said_until()

    def _config(self, overrides: Mapping[str, Any]) -> Config:
        """The configuration of a new training of this model, on other data."""
        content = self._saved.config.model_dump(mode="json")
        for name in ("csv", "dataset", *Columns.model_fields):
            if name != "on_short":
                content["data"].pop(name)
        trust = trust_of(self.folder, True)
        return check_config(nested(overrides, content), str(self.folder), trust)

    def save(self, path: str | Path) -> "Model":
        """Save a copy in the folder ``path``, replacing an older saved model there.

        >>> import forecaster, tempfile
        >>> model = forecaster.train("datasets/seattle_weather.csv", model="seasonal-naive",
        ...     horizon=3, lookback=14, tracking=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     forecaster.load(model.save(f"{folder}/weather").folder)
        Model('seasonal naive', horizon=3)
        """
        folder = folder_of("path", path)
        check_model_folder(folder)
        with whole_folder(folder) as partial:
            shutil.copytree(self.folder, partial, dirs_exist_ok=True)
        saved = load_model(folder, self._saved.model.device, trust_code=True)
        return Model(saved, self._tracker, self._source, self.notes)

    def forecast(
        self,
        source: object = None,
        *,
        start: str | date | None = None,
        future: object = None,
        mode: Mode | None = None,
        samples: int = 100,
        steps: int | None = None,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        seed: int = 0,
        conformal: bool = False,
        resample_rate: int = 1,
        **roles: Unpack[Roles],
    ) -> Forecast:
        """Forecast the values after a table's end.

        ``source``: the history (None: the training data). ``start``: the time at which the forecast
        begins, within the table or after it (None: after the last row with a value). ``future``:
        the known covariates after that, if the table does not hold them. ``mode``:
        ``point`` or ``probabilistic`` (None: probabilistic). ``samples``: the number of paths;
        ``steps``: the number of sampling steps of diffusion models. ``conformal``: intervals from
        the errors on validation windows. ``resample_rate``: the table's interval as a multiple of
        the training data's (state-space models). The same seed gives the same numbers here and on
        the command line.

        >>> import forecaster
        >>> model = forecaster.train("datasets/seattle_weather.csv", model="seasonal-naive",
        ...     seasons=7, horizon=2, lookback=14, target="wind", tracking=False)
        >>> model.forecast().frame["mean"].round(2).tolist()
        [1.5, 2.5]
        >>> model.forecast(start="2015-12-24").frame["timestamp"].tolist()
        [Timestamp('2015-12-24 00:00:00'), Timestamp('2015-12-25 00:00:00')]
        """
        _check_mode(mode)
        settings = ForecastSettings(
            mode,
            whole("samples", samples, 1),
            whole_or_none("steps", steps, 1),
            levels(quantiles),
            seed_of(seed),
            conformal,
            whole("resample_rate", resample_rate, 1),
            read_roles(roles, "forecast"),
            time_of("start", start),
            None if future is None else read_source(future),
        )
        forecast = forecast_with(self._saved, self._data(source), settings)
        return Forecast(forecast, self._saved.schema.names, title(self._saved.config))

    def evaluate(
        self,
        source: object = None,
        *,
        origins: int | None = None,
        stride: int | None = None,
        split: str = "test",
        mode: Mode | None = None,
        samples: int = 100,
        steps: int | None = None,
        limit: int | None = None,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        seed: int = 0,
        conformal: bool = False,
        resample_rate: int = 1,
        experiment: str = "forecaster",
        run_name: str | None = None,
        tracking: bool | None = None,
        **roles: Unpack[Roles],
    ) -> Evaluation:
        """Evaluate the model and seasonal naive on past windows of a table.

        ``origins``: the number of rolling origins at the end of the table, ``stride`` steps apart
        (None: the horizon); without them, the windows of ``split`` (``test``: the last fifth of the
        rows, or ``validation``: the tenth before it), all or ``limit`` evenly spaced ones.
        ``quantiles``: their levels in the result's frame, of those that are scored: 0.025, 0.05,
        0.1, … in steps of 0.05, 0.95, 0.975. ``tracking``: by default that of the
        training. For the rest see ``forecast``.

        >>> import forecaster
        >>> sample = "datasets/seattle_weather.csv"
        >>> model = forecaster.train(sample, model="seasonal-naive", seasons=7, horizon=2,
        ...     lookback=14, tracking=False)
        >>> model.evaluate(sample, origins=3).verdict
        'On 3 past windows the forecasts cannot be told apart from repeating the last week \
(0 % closer, 95 % interval 0 to 0 %); 90 % intervals held 88 % (too few windows apart to count on \
it).'
        """
        _check_mode(mode)
        choice("split", split, ("test", "validation"))
        distance = whole_or_none("stride", stride, 1)
        if origins is None and stride is not None:
            raise UserError("stride needs origins; give both")
        scored = levels(quantiles)
        options = EvaluateOptions(
            reference=str(self.folder),
            csv=self._source_or_default(source),
            dataset=None,
            split=split,
            rolling=None if origins is None else Rolling(whole("origins", origins, 1), distance),
            mode=mode,
            scoring=Scoring(
                samples=whole("samples", samples, 2),
                steps=whole_or_none("steps", steps, 1),
                limit=whole_or_none("limit", limit, 1),
                seed=seed_of(seed),
                full=True,
            ),
            conformal=conformal,
            resample_rate=whole("resample_rate", resample_rate, 1),
            accelerator=None,
            experiment=experiment,
            run_name=run_name,
            roles=read_roles(roles, "evaluate"),
        )
        tracker = self._tracker if tracking is None else tracker_of(tracking)
        return evaluation_of(self._saved, options, tracker, scored)

    def calibrate(
        self,
        source: object = None,
        *,
        output: str | Path | None = None,
        experiment: str = "forecaster",
        run_name: str | None = None,
        tracking: bool | None = None,
    ) -> "Model":
        """A new model, without the mean errors of this diffusion model's network at the steps of
        its path; this model itself if none lowers the squared error on windows apart.

        ``source``: the data of the training (None: where they were). They are measured on earlier
        validation windows and tried on later ones. ``output``: the new model's folder. For
        ``tracking`` see ``evaluate``.

        Raises UserError for a model that is no diffusion model, and for other data.

        >>> import forecaster
        >>> model = forecaster.train("datasets/seattle_weather.csv", preset="timediff",
        ...     target="wind", horizon=3, lookback=14, tracking=False, settings={
        ...     "model.schedule.steps": 20, "model.sampler.steps": 20, "trainer.max_steps": 1,
        ...     "trainer.stage_epochs": 1, "trainer.score_windows": 2, "trainer.point_windows": 2})
        >>> model.calibrate()
        Model('TimeDiff', horizon=3)
        """
        data = self._source_or_default(source)
        frame = data if isinstance(data, RawTable) else None
        tracker = self._tracker if tracking is None else tracker_of(tracking)
        target = None if output is None else folder_of("output", output)
        notes: list[str] = []
        context = RunContext(tracker, Silent(), notes.append)
        with temporary_unless(tracker is STORE or target is not None) as temporary:
            options = CalibrateOptions(
                reference=str(self.folder),
                csv=data,
                output=temporary / "model" if temporary else target,
                experiment=experiment,
                run_name=run_name,
            )
            done = calibrate(self._saved, options, context)
        if done.trained is None:
            remove_with(self, temporary)
            return self
        saved = load_model(done.trained.folder, self._saved.model.device, trust_code=True)
        calibrated = Model(saved, tracker, frame, [*notes, done.outcome])
        remove_with(calibrated, temporary)
        return calibrated

    def gluonts(
        self,
        *,
        mode: Mode | None = None,
        samples: int = 100,
        steps: int | None = None,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        seed: int = 0,
    ) -> Predictor:
        """The model as a GluonTS predictor.

        Entries have ``start``, ``target`` (channels × time, or time) and ``item_id``.

        >>> import forecaster, numpy as np, pandas as pd
        >>> model = forecaster.train("datasets/seattle_weather.csv", model="seasonal-naive",
        ...     seasons=7, horizon=2, lookback=14, target="wind", tracking=False)
        >>> entry = {"start": pd.Period("2024-01-01", "D"), "target": np.arange(20.0)}
        >>> [forecast] = model.gluonts().predict([entry])
        >>> forecast.mean.round(4).tolist(), str(forecast.start_date)
        ([13.0, 14.0], '2024-01-21')
        """
        _check_mode(mode)
        request = PredictionRequest(
            mode or default_mode(self._saved),
            whole("samples", samples, 1),
            whole_or_none("steps", steps, 1),
            levels(quantiles),
            seed_of(seed),
        )
        return SavedPredictor(self._saved, request)

    def _source_or_default(self, source: object) -> Path | RawTable | None:
        """The source, by default the training's frame; None for its file or named data set."""
        if source is not None:
            return read_source(source)
        data = self._saved.config.data
        if self._source is None and data.csv is None and data.dataset is None:
            raise UserError("the model does not know where its data lie; give the table")
        return self._source

    def _data(self, source: object) -> Path | RawTable:
        data = self._source_or_default(source)
        if data is not None:
            return data
        trained_on = self._saved.config.data
        if trained_on.csv is None:
            raise UserError(f"the model was trained on '{trained_on.dataset}'; give the table")
        return Path(trained_on.csv)


def load(
    reference: str | Path,
    *,
    accelerator: Accelerator | None = None,
    trust_code: bool = False,
    tracking: bool | None = None,
) -> Model:
    """Load a saved model: ``latest``, a run's name or the first characters of its id, a folder,
    ``runs:/ID``, ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or, the newest, ``models:/NAME``.

    ``trust_code``: run the code of its custom parts, which may do anything. ``tracking``:
    whether the model's evaluations are tracked, by default as its training was.

    Raises UserError for a missing or damaged model.

    >>> import forecaster
    >>> try:
    ...     forecaster.load("nowhere")
    ... except forecaster.UserError as error:
    ...     print(error)
    nowhere: no such saved model or run; see: runs list
    """
    if accelerator is not None:
        choice("accelerator", accelerator, ACCELERATORS)
    saved = open_model(str(reference), accelerator, trust_code)
    tracked = saved.metadata.get("run_id") is not None if tracking is None else tracking
    return Model(saved, tracker_of(tracked))


def _check_mode(mode: str | None) -> None:
    if mode is not None:
        choice("mode", mode, MODES)
