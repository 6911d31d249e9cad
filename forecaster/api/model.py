"""A trained model, to forecast with, evaluate and save; and ``forecaster.load``."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from gluonts.model.predictor import Predictor

from forecaster.api.configs import Accelerator
from forecaster.api.evaluation import Evaluation, evaluation_of
from forecaster.api.forecast import Forecast
from forecaster.api.roles import Roles, read_roles
from forecaster.data.frames import read_source
from forecaster.data.reading import RawTable
from forecaster.errors import UserError
from forecaster.evaluation.score import Mode, Scoring
from forecaster.inference.locate import open_model
from forecaster.inference.predictor import PredictionRequest, SavedPredictor, default_mode
from forecaster.inference.saved_model import SavedModel, load_model
from forecaster.io.atomic import check_model_folder, whole_folder
from forecaster.tracking.labels import title
from forecaster.workflows.evaluate_windows import EvaluateOptions, Rolling
from forecaster.workflows.forecast import ForecastSettings, forecast_with
from forecaster.workflows.tracking_target import STORE, Tracker, tracker_of

MODES = ("point", "probabilistic")


class Model:
    """A trained model, in memory and in its ``folder``. ``notes``: remarks of its training.

    >>> import forecaster
    >>> model = forecaster.train("datasets/seattle_weather.csv", model="nlinear",
    ...     horizon=3, lookback=14, settings={"trainer.max_steps": 2}, tracking=False)
    >>> model, sorted(model.metrics)[:2], model.run_id
    (Model('NLinear', horizon=3), ['test/mae', 'test/mase'], None)
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

    def save(self, path: str | Path) -> "Model":
        """Save a copy in the folder ``path``, replacing an older saved model there.

        >>> import forecaster, tempfile
        >>> model = forecaster.train("datasets/seattle_weather.csv", model="seasonal-naive",
        ...     horizon=3, lookback=14, tracking=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     forecaster.load(model.save(f"{folder}/weather").folder)
        Model('seasonal naive', horizon=3)
        """
        folder = Path(path)
        check_model_folder(folder)
        with whole_folder(folder) as partial:
            shutil.copytree(self.folder, partial, dirs_exist_ok=True)
        saved = load_model(folder, self._saved.model.device, trust_code=True)
        return Model(saved, self._tracker, self._source, self.notes)

    def forecast(
        self,
        source: object = None,
        *,
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

        ``source``: the history (None: the training data). ``mode``: ``point`` or ``probabilistic``
        (None: probabilistic if the model has a distribution). ``samples``: the number of paths;
        ``steps``: the number of sampling steps of diffusion models. ``conformal``: intervals from
        the errors on validation windows. ``resample_rate``: the table's interval as a multiple of
        the training data's (state-space models). The same seed gives the same numbers here and on
        the command line.

        >>> import forecaster
        >>> model = forecaster.train("datasets/seattle_weather.csv", model="seasonal-naive",
        ...     horizon=2, lookback=14, target="wind", tracking=False)
        >>> model.forecast().frame["mean"].round(2).tolist()
        [1.5, 2.5]
        """
        _check_mode(mode)
        levels = tuple(sorted({float(level) for level in quantiles}))
        settings = ForecastSettings(
            mode,
            samples,
            steps,
            levels,
            seed,
            conformal,
            resample_rate,
            read_roles(roles, "forecast"),
        )
        forecast = forecast_with(self._saved, self._data(source), settings)
        return Forecast(forecast, self._saved.schema.names, 3 * self._saved.config.data.horizon)

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
        ``quantiles``: their levels in the result's frame. ``tracking``: by default that of the
        training. For the rest see ``forecast``.

        >>> import forecaster
        >>> sample = "datasets/seattle_weather.csv"
        >>> model = forecaster.train(sample, model="seasonal-naive", horizon=2, lookback=14,
        ...     tracking=False)
        >>> model.evaluate(sample, origins=3).verdict
        'On 3 past windows the forecasts cannot be told apart from repeating the last week \
(0 % closer, 95 % interval 0 to 0 %).'
        """
        _check_mode(mode)
        if split not in ("test", "validation"):
            raise UserError(f"split: '{split}' is none; give test or validation")
        counts = {"origins": origins, "stride": stride, "limit": limit, "steps": steps}
        for name, minimum in {**dict.fromkeys(counts, 1), "samples": 2}.items():
            value = {**counts, "samples": samples}[name]
            if value is not None and value < minimum:
                raise UserError(f"{name}: {value} is too few; give {minimum} at least")
        if origins is None and stride is not None:
            raise UserError("stride is the distance between origins; give both")
        effective: Mode = mode or ("probabilistic" if conformal else default_mode(self._saved))
        options = EvaluateOptions(
            reference=str(self.folder),
            csv=self._source_or_default(source),
            dataset=None,
            split=split,
            rolling=None if origins is None else Rolling(origins, stride),
            scoring=Scoring(effective, samples, steps, limit, seed, full=True),
            conformal=conformal,
            resample_rate=resample_rate,
            accelerator=None,
            experiment=experiment,
            run_name=run_name,
            roles=read_roles(roles, "evaluate"),
        )
        tracker = self._tracker if tracking is None else tracker_of(tracking)
        return evaluation_of(self._saved, options, tracker, tuple(sorted(set(quantiles))))

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
        ...     horizon=2, lookback=14, target="wind", tracking=False)
        >>> entry = {"start": pd.Period("2024-01-01", "D"), "target": np.arange(20.0)}
        >>> [forecast] = model.gluonts().predict([entry])
        >>> forecast.mean.round(4).tolist(), str(forecast.start_date)
        ([13.0, 14.0], '2024-01-21')
        """
        _check_mode(mode)
        levels = tuple(sorted(set(quantiles)))
        request = PredictionRequest(mode or default_mode(self._saved), samples, steps, levels, seed)
        return SavedPredictor(self._saved, request)

    def _source_or_default(self, source: object) -> Path | RawTable | None:
        """The source, by default the frame of the training; None for the training's file."""
        return self._source if source is None else read_source(source)

    def _data(self, source: object) -> Path | RawTable:
        data = self._source_or_default(source)
        if data is not None:
            return data
        if self._saved.config.data.csv is None:
            raise UserError("the model does not know where its data lie; give the table")
        return Path(self._saved.config.data.csv)


def load(
    reference: str | Path, *, accelerator: Accelerator | None = None, trust_code: bool = False
) -> Model:
    """Load a saved model: a folder, ``models:/NAME@ALIAS``, ``runs:/ID/model``, or ``latest``.

    ``trust_code``: run the code of its custom parts, which may do anything.

    Raises UserError for a missing or damaged model.

    >>> import forecaster
    >>> try:
    ...     forecaster.load("nowhere")
    ... except forecaster.UserError as error:
    ...     print(error)
    nowhere: no such saved model; give the folder that training printed, a run, or 'latest'
    """
    return Model(open_model(str(reference), accelerator, trust_code))


def _check_mode(mode: str | None) -> None:
    if mode is not None and mode not in MODES:
        raise UserError(f"mode: '{mode}' is none; give point or probabilistic")
