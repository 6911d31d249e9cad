"""The typed configuration: YAML in and out, unknown keys refused with the nearest that exists."""

import difflib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecaster.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A section of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Columns(Section):
    """The roles of a file's columns and the policies for its faults."""

    timestamp: str | None = None
    target: tuple[str, ...] | None = None
    item_id: str | None = None
    freq: str | None = None
    timezone: str | None = None
    on_gap: Literal["error", "fill"] = "error"
    on_duplicate: Literal["error", "first", "last", "mean"] = "error"


class DataConfig(Columns):
    """What is learnt from: a file or a named data set, and the windows cut from it.

    ``on_short``: what to do with a series too short for lookback + 3·horizon: refuse, or pad its windows with a mask.
    """

    csv: str | None = None
    dataset: str | None = None
    horizon: Positive = 96
    lookback: Positive = 336
    on_short: Literal["error", "pad"] = "error"

    @property
    def columns(self) -> Columns:
        """The part that a forecast's own file is read by."""
        return Columns(**{name: getattr(self, name) for name in Columns.model_fields})


Norm = Literal["none", "last", "mean", "standard"]
Loss = Literal["l1", "mse"]


class SeasonalNaiveConfig(Section):
    """The value one season ago. ``season`` in steps; by default the interval's own."""

    name: Literal["seasonal-naive"] = "seasonal-naive"
    season: Positive | None = None


class LinearConfig(Section):
    """One linear layer over time, shared by the channels (NLinear: ``norm: last``; RLinear: ``norm: standard``)."""

    name: Literal["linear"] = "linear"
    norm: Norm = "last"
    loss: Loss = "mse"


class QuantileLinearConfig(Section):
    """A linear layer per quantile, without crossing."""

    name: Literal["quantile-linear"] = "quantile-linear"
    norm: Norm = "standard"
    levels: tuple[float, ...] = (0.005, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.995)


class ResidualBootstrapConfig(Section):
    """A point model plus whole residual paths of a split; ``paths`` kept with the model at most."""

    name: Literal["residual-bootstrap"] = "residual-bootstrap"
    base: Annotated[LinearConfig | SeasonalNaiveConfig, Field(discriminator="name")] = LinearConfig(
        norm="standard", loss="l1"
    )
    residuals: Literal["train", "validation"] = "validation"
    paths: Positive = 500


class NetworkConfig(Section):
    """CSDI's denoising network without its masks."""

    layers: Positive = 4
    channels: Positive = 8
    heads: Positive = 2
    step_embedding: Positive = 128
    time_embedding: Positive = 128
    channel_embedding: Positive = 16
    feed_forward: Positive = 64
    dropout: Fraction = 0.0
    attend_channels: bool = True


class S2DBMConfig(Section):
    """S²DBM (arXiv 2411.04491).

    ``label``: P, the last steps of the history that the bridge spans too. ``norm``: window normalisation, inverted on
    y, h and samples alike. ``predicts``: ``data`` (the paper) or ``correction`` (ŷ₀ = h + network, which is given h).
    ``prior``: F is trained ``joint``-ly, through the network's loss (the paper), or ``first``, alone with L1, and kept.
    ``self_conditioning``: share of the training batches whose y_t is made of the network's own noise-free prediction.
    ``s``, ``steps``: the sampler's variance dial (2 is the exact posterior) and its number of steps; ``point_steps``: those
    of the point forecast. ``first_step``: inject the full b_u at the step out of y_T, or σ alone.
    """

    name: Literal["s2dbm"] = "s2dbm"
    diffusion_steps: Positive = 50
    label: Annotated[int, Field(ge=0)] = 48
    norm: Norm = "none"
    predicts: Literal["data", "correction"] = "data"
    loss: Loss = "l1"
    prior: Literal["joint", "first"] = "joint"
    self_conditioning: Fraction = 0.0
    s: Annotated[float, Field(ge=0, le=2)] = 1.0
    steps: Positive = 50
    point_steps: Positive = 50
    first_step: Literal["full", "sigma"] = "sigma"
    network: NetworkConfig = NetworkConfig()


ModelConfig = Annotated[
    SeasonalNaiveConfig | LinearConfig | QuantileLinearConfig | ResidualBootstrapConfig | S2DBMConfig,
    Field(discriminator="name"),
]


class TrainerConfig(Section):
    """How a model is trained, and how much of it is scored.

    ``stage_epochs``: the most epochs of a part that is trained first, such as a prior; ``max_epochs`` and
    ``max_steps`` (-1: no limit) are those of the model itself.
    ``validation_windows``: evenly spaced validation windows scored after each epoch (all by default). At the end
    ``point_windows`` of each split are scored with the point forecast (all by default) and ``score_windows`` with samples
    (0: none); the metrics ``windows`` and ``probabilistic_windows`` tell the numbers.
    """

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    max_epochs: Positive = 10
    stage_epochs: Positive = 50
    max_steps: Annotated[int, Field(ge=-1)] = -1
    batch_size: Positive = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    patience: Positive = 3
    gradient_clip: Annotated[float, Field(ge=0)] = 0.0
    validation_windows: Positive | None = None
    point_windows: Positive | None = None
    score_windows: Annotated[int, Field(ge=0)] = 32
    score_samples: Annotated[int, Field(ge=2)] = 100
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Positive = 1
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"


class Config(Section):
    """The whole configuration of one training."""

    data: DataConfig = DataConfig()
    model: ModelConfig
    trainer: TrainerConfig = TrainerConfig()


def find_config(name: str) -> Path:
    """``configs/NAME.yaml``, or the path of a YAML file."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return path
    found = CONFIGS / f"{name}.yaml"
    if not found.is_file():
        names = sorted(p.stem for p in CONFIGS.glob("*.yaml"))
        raise UserError(f"no model '{name}'{_nearest(name, names)}; there are {', '.join(names)}")
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping, read safely."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not a YAML file ({getattr(error, 'problem', error)}); correct it") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a configuration; it needs the sections data, model and trainer")
    return content


def load_config(path: Path, settings: Sequence[str] = (), overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a configuration, lay ``overrides`` and then ``KEY=VALUE`` settings over it, and check it."""
    content = read_yaml(path)
    for key, value in (overrides or {}).items():
        _put(content, key, value)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write KEY=VALUE, for example trainer.max_steps=2")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"--set {setting}: the value is not YAML; quote it") from error
        _put(content, key.strip(), value)
    return check_config(content, str(path))


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise UserError(f"configuration key '{key}': '{section}' is a value, not a section")
    content[last] = value


def check_config(content: Mapping[str, Any], source: str) -> Config:
    """Validate; the first fault is told in one line."""
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
    tags = {"linear", "seasonal-naive", "quantile-linear", "residual-bootstrap", "s2dbm"}
    path = [str(part) for part in first["loc"]]
    keys = [part for i, part in enumerate(path) if not (part in tags and i in {1, 2})]
    key = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = _known_keys(path)
        raise UserError(f"{source}: no configuration key '{key}'{_nearest(keys[-1], known)}; known: {', '.join(known)}")
    raise UserError(f"{source}: configuration key '{key}': {_reason(first)}; correct it")


def _reason(fault: Any) -> str:
    message = str(fault["msg"])
    return message[0].lower() + message[1:] + ("" if fault["type"] == "missing" else f", got {fault['input']!r}")


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _known_keys(path: Sequence[str]) -> list[str]:
    """The keys of the section that a fault's location lies in."""
    kind: Any = Config
    for part in path[:-1]:
        if hasattr(kind, "model_fields"):
            kind = kind.model_fields[part].annotation
        else:  # one of several models, told apart by its name
            kind = next(option for option in typing.get_args(kind) if option.model_fields["name"].default == part)
    return sorted(kind.model_fields)


def dump_config(config: Config) -> str:
    """The configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
