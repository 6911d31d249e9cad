"""The typed configuration: YAML in and out, unknown keys refused with the nearest that exists."""

import difflib
import math
import reprlib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from forecaster.errors import UserError
from forecaster.model_config import ModelConfig
from forecaster.sections import Positive, Section

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"


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
    ``lower``, ``upper``: bounds of all columns or by column (0 for counts); forecasts are cut off there.
    """

    csv: str | None = None
    dataset: str | None = None
    horizon: Positive = 96
    lookback: Positive = 336
    on_short: Literal["error", "pad"] = "error"
    lower: float | dict[str, float] | None = None
    upper: float | dict[str, float] | None = None

    def limits(self, names: Sequence[str]) -> tuple[list[float], list[float]]:
        """The bounds of each column, infinite where there is none."""
        low, high = (
            {} if b is None else b if isinstance(b, dict) else dict.fromkeys(names, b) for b in (self.lower, self.upper)
        )
        for name in {**low, **high}:
            if name not in names:
                raise UserError(
                    f"--lower, --upper: no value column '{name}'{nearest(name, names)}; there are {', '.join(names)}"
                )
        return [low.get(n, -math.inf) for n in names], [high.get(n, math.inf) for n in names]

    @property
    def columns(self) -> Columns:
        """The part that a forecast's own file is read by."""
        return Columns(**{name: getattr(self, name) for name in Columns.model_fields})


class TrainerConfig(Section):
    """How a model is trained, and how much of it is scored.

    ``stage_epochs``: the most epochs of a part that is trained first, such as a prior, ``stage_learning_rate`` its own rate
    (None: the same); ``max_epochs`` and ``max_steps`` (rounded up to whole epochs) are those of the model itself.
    ``epoch_batches``: an epoch, after which validation looks, is so many batches at most (None: all training windows).
    ``validation_windows``: evenly spaced validation windows scored after each epoch (all by default). At the end
    ``point_windows`` of each split are scored with the point forecast (all by default) and ``score_windows`` with samples
    (0: none); the metrics ``windows`` and ``probabilistic_windows`` tell the numbers.
    """

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    max_epochs: Positive = 10
    stage_epochs: Positive = 50
    max_steps: Positive | None = None
    epoch_batches: Positive | None = None
    batch_size: Positive = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    stage_learning_rate: Annotated[float, Field(gt=0)] | None = None
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
    """The whole configuration of one training. ``title`` names the model in tables and in the tracking."""

    title: str | None = None
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
        raise UserError(f"no model '{name}'{nearest(name, names)}; there are {', '.join(names)}")
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping, read safely."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except RecursionError as error:
        raise UserError(f"{path}: not a configuration (nested too deeply); correct it") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
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
    sections, keys = _walk(first["loc"])
    key = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = sorted(sections.model_fields)
        told = f"{source}: no configuration key '{key}'{nearest(keys[-1], known)}; known: {', '.join(known)}"
        if "name" in known:  # the keys may be those of the part that was there before
            told += f"; a part that is exchanged is given whole: {'.'.join(keys[:-1])}={{name: …}}"
        raise UserError(told)
    raise UserError(f"{source}: configuration key '{key}': {reason(first)}; correct it")


def reason(fault: Any) -> str:
    """What is wrong with a value, from pydantic's account of it."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return (
        message[0].lower() + message[1:] + ("" if fault["type"] == "missing" else f", got {reprlib.repr(fault['input'])}")
    )


def nearest(name: str, known: Sequence[str]) -> str:
    """A question after the known name that a mistyped one is closest to; nothing if none is close."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _walk(location: Sequence[str | int]) -> tuple[type[Section], list[str]]:
    """The section that a fault lies in, and the keys that lead to it: its location without the names of alternatives."""
    section: type[Section] = Config
    options: dict[str, type[Section]] = {}
    keys: list[str] = []
    for part in map(str, location):
        if part in options:  # one of several sections, told apart by its name
            section, options = options[part], {}
            continue
        keys.append(part)
        field = section.model_fields.get(part)
        kinds = [] if field is None else [k for k in _leaves(field.annotation) if hasattr(k, "model_fields")]
        options = {k.model_fields["name"].default: k for k in kinds if "name" in k.model_fields}
        if len(kinds) == 1 and not options:
            section = kinds[0]
    return section, keys


def _leaves(kind: Any) -> list[Any]:
    """The classes of a union, however it is nested and annotated."""
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in {typing.Annotated, typing.Literal}:
        arguments = arguments[:1]
    return [leaf for argument in arguments for leaf in _leaves(argument)] if arguments else [kind]


def dump_config(config: Config) -> str:
    """The configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
