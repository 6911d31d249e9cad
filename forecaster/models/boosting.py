"""Gradient-boosted trees (LightGBM: Ke et al., NeurIPS 2017) on lags, calendar and covariates.

LightGBM fits the trees. They are kept as tensors and evaluated by torch, so that a saved model
holds no foreign format, and forecasts without that package.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from forecaster.config.parts import register
from forecaster.config.program import install_extra
from forecaster.config.sections import Fraction, PartConfig, Positive
from forecaster.data.windows import Batch, Windows, ordered_loader
from forecaster.errors import UserError
from forecaster.models.adjusted import Adjustment, plus
from forecaster.models.base import Loss, Precursor, Shape
from forecaster.models.prior import PointForecaster
from forecaster.networks.norms import Norm, window_scale

_PATIENCE = 30  # trees without an improvement on validation
_SEASONS, _CYCLES = 3, 2
_AT_ONCE = 4_000_000  # numbers in memory at once
_VALIDATION = 4  # the training rows over those of validation
_BEYOND = 1e300  # a threshold that sends every row to the left
_OBJECTIVES = {"mse": "regression", "l1": "regression_l1"}


class BoostedTreesConfig(PartConfig):
    """Gradient-boosted trees on lags, the place in the season, and covariates (LightGBM).

    One model for all series, channels and lead times. ``rows``: the most examples, drawn at random.
    The package is an extra: ``lightgbm``.
    """

    name: Literal["lightgbm"] = "lightgbm"
    norm: Norm = "none"
    loss: Loss = "mse"
    trees: Annotated[int, Field(gt=0, le=2_000)] = 500
    depth: Annotated[int, Field(gt=0, le=10)] = 4
    leaves: Annotated[int, Field(gt=1, le=1_024)] = 8
    leaf_rows: Positive = 80
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    features: Fraction = 0.8
    lags: Annotated[int, Field(gt=0, le=512)] = 14
    rows: Annotated[int, Field(gt=0, le=2_000_000)] = 200_000


@register("forecaster", BoostedTreesConfig)
class BoostedTrees(PointForecaster):
    """Trees of the features of a window, channel and lead time; label steps are the history's own.

    A tree is complete and of ``depth`` D: ``feature`` and ``threshold`` (T, 2^D − 1) are those of
    its nodes, level after level, ``value`` (T, 2^D) those of its leaves. ``count`` trees are used.
    """

    feature: Tensor
    threshold: Tensor
    value: Tensor
    count: Tensor

    def __init__(self, config: BoostedTreesConfig, shape: Shape) -> None:
        super().__init__()
        self.config, self.shape, self.label = config, shape, shape.label
        self.reads_covariates = shape.covariates.learnt
        self.adjustment = Adjustment(shape, learnt=False)
        self.seed = torch.initial_seed() % 2**31
        nodes = 2**config.depth
        self.register_buffer("feature", torch.zeros(config.trees, nodes - 1, dtype=torch.int64))
        self.register_buffer("threshold", torch.zeros(config.trees, nodes - 1, dtype=torch.float64))
        self.register_buffer("value", torch.zeros(config.trees, nodes, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        given = batch
        batch, effects = self.adjustment(batch)
        window = window_scale(batch.past, batch.past_mask, self.config.norm)
        size = self.shape.channels * self.shape.horizon * self._width()
        found = [
            self.values(_features(part, self.config, self.shape).flatten(0, 2))
            for part in _parts_of(batch, max(_AT_ONCE // size, 1))
        ]
        future = torch.cat(found).view(len(batch), self.shape.channels, self.shape.horizon)
        future = window.invert(future.to(batch.past.dtype))
        if effects is not None:
            future = plus(future, effects[..., self.label :])
        return torch.cat([given.past[..., given.past.shape[2] - self.label :], future], dim=2)

    def _width(self) -> int:
        sizes, seasons = self.shape.covariates, len(_seasons(self.shape))
        own = 5 + self.config.lags + (1 + _CYCLES) * seasons
        return own + sizes.known + 2 * sizes.past + sizes.static

    def values(self, rows: Float[Tensor, "N F"]) -> Float[Tensor, " N"]:
        """The sums of the trees' leaves, in float64."""
        used = int(self.count.clamp(0, len(self.feature)))
        found = rows.new_zeros(len(rows), dtype=torch.float64)
        if not used:
            return found
        feature = self.feature[:used].clamp(0, rows.shape[1] - 1).flatten()
        threshold, value = self.threshold[:used].flatten(), self.value[:used].flatten()
        inner, leaves = self.feature.shape[1], self.value.shape[1]
        trees = torch.arange(used, device=rows.device)
        chunk = max(_AT_ONCE // used, 1)
        for begin in range(0, len(rows), chunk):
            part = rows[begin : begin + chunk].double()
            node = torch.zeros(len(part), used, dtype=torch.int64, device=rows.device)
            for _ in range(self.config.depth):
                place = node + trees * inner
                right = part.gather(1, feature[place]) > threshold[place]
                node = 2 * node + 1 + right
            found[begin : begin + chunk] = value[node - inner + trees * leaves].sum(1)
        return found

    def score(self, batch: Batch) -> Float[Tensor, ""]:
        """0: no weights are trained by steps."""
        return batch.past.new_zeros(())

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """0, likewise."""
        return batch.past.new_zeros(())

    def calibrate(self, train: Windows, validation: Windows) -> None:
        """Fit the trees; as many as are best on validation."""
        inputs, held = self._examples([train], 1), self._examples([validation], _VALIDATION)
        self._fit(inputs, held, self.config.trees)

    def calibrate_after(self, precursor: Precursor) -> None:
        """Fit as many trees on all rows."""
        assert isinstance(precursor.model, BoostedTrees)
        parts = [precursor.train, precursor.validation, precursor.test]
        self._fit(self._examples(parts, 1), None, int(precursor.model.count))

    def _examples(self, parts: Sequence[Windows], share: int) -> "_Examples":
        """Features and targets in the window's own units, at random places of all windows."""
        random = torch.Generator().manual_seed(self.seed)
        whole = sum(map(len, parts)) * self.shape.channels * self.shape.horizon
        chance = min(self.config.rows / share / max(whole, 1), 1.0)
        size = self.shape.channels * self.shape.horizon * self._width()
        inputs, targets = [], []
        for windows in parts:
            for given in ordered_loader(windows, max(min(_AT_ONCE // size, 256), 1)):
                batch, effects = self.adjustment(given)
                future = (
                    batch.future if effects is None else batch.future - effects[..., self.label :]
                )
                window = window_scale(batch.past, batch.past_mask, self.config.norm)
                kept = batch.future_mask > 0
                if chance < 1:
                    kept &= torch.rand(kept.shape, generator=random) < chance
                inputs.append(_features(batch, self.config, self.shape)[kept].numpy())
                targets.append(window.apply(future)[kept].numpy())
        return _Examples(np.concatenate(inputs), np.concatenate(targets))

    def _fit(self, train: "_Examples", held: "_Examples | None", trees: int) -> None:
        try:
            import lightgbm
        except ModuleNotFoundError as error:
            raise UserError(
                f"model: lightgbm needs LightGBM: {install_extra('lightgbm')}"
            ) from error
        if not trees or not len(train.targets):
            return
        config = self.config
        settings = {
            "objective": _OBJECTIVES[config.loss],
            "num_leaves": min(config.leaves, 2**config.depth),
            "max_depth": config.depth,
            "min_data_in_leaf": config.leaf_rows,
            "learning_rate": config.learning_rate,
            "feature_fraction": max(config.features, 0.01),
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "use_missing": False,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": torch.get_num_threads(),
            "verbosity": -1,
        }
        data = lightgbm.Dataset(train.inputs, train.targets)
        valid, callbacks = [], []
        if held is not None and len(held.targets):
            valid = [data.create_valid(held.inputs, held.targets)]
            callbacks = [lightgbm.early_stopping(_PATIENCE, verbose=False)]
        booster = lightgbm.train(settings, data, trees, valid_sets=valid, callbacks=callbacks)
        used = booster.best_iteration if valid else trees
        self._take(booster.dump_model(num_iteration=used)["tree_info"])

    def _take(self, trees: Sequence[Mapping[str, Any]]) -> None:
        """Copy LightGBM's trees."""
        size = self.value.shape
        feature = np.zeros((size[0], size[1] - 1), np.int64)
        threshold, value = np.full(feature.shape, _BEYOND), np.zeros(size)
        for number, tree in enumerate(trees):
            _fill(tree["tree_structure"], feature[number], threshold[number], value[number])
        self.feature.copy_(torch.from_numpy(feature))
        self.threshold.copy_(torch.from_numpy(threshold))
        self.value.copy_(torch.from_numpy(value))
        self.count.fill_(len(trees))


@dataclass(frozen=True)
class _Examples:
    """Inputs (n, F) and targets (n,)."""

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]


def _fill(
    node: Mapping[str, Any],
    feature: NDArray[np.int64],
    threshold: NDArray[np.float64],
    value: NDArray[np.float64],
    place: int = 0,
) -> None:
    """Copy a node of LightGBM's and all below it; a leaf is the left-most one below its place."""
    if "leaf_value" in node:
        while place < len(feature):
            place = 2 * place + 1
        value[place - len(feature)] = node["leaf_value"]
        return
    feature[place], threshold[place] = node["split_feature"], node["threshold"]
    _fill(node["left_child"], feature, threshold, value, 2 * place + 1)
    _fill(node["right_child"], feature, threshold, value, 2 * place + 2)


def _parts_of(batch: Batch, size: int) -> Iterator[Batch]:
    """The windows of a batch, ``size`` at a time."""
    for begin in range(0, len(batch), size):
        yield batch.part(slice(begin, begin + size))


def _seasons(shape: Shape) -> list[int]:
    """The seasons that the history holds, at most three."""
    seasons = shape.seasons or (shape.season,)
    return [season for season in seasons if 1 < season <= shape.lookback][-_SEASONS:]


def _features(batch: Batch, config: BoostedTreesConfig, shape: Shape) -> Float[Tensor, "B K H F"]:
    """What the trees see of each window, channel and lead time, the history in its own units."""
    window = window_scale(batch.past, batch.past_mask, config.norm)
    past = window.apply(batch.past) * batch.past_mask  # (B, K, L)
    size, channels, lookback = past.shape
    leads, seasons = torch.arange(shape.horizon, device=past.device), _seasons(shape)

    def everywhere(values: Tensor) -> Tensor:
        """(B or 1, K or 1, H or 1, F) → (B, K, H, F)."""
        return values.to(past.dtype).expand(size, channels, shape.horizon, -1)

    parts = [everywhere(leads[None, None, :, None])]
    parts.append(everywhere(torch.arange(channels, device=past.device)[None, :, None, None]))
    for season in seasons:
        phase = (batch.time[:, None] + leads) % season
        parts.append(everywhere(phase[:, None, :, None]))
        newest = lookback + leads - season * (leads // season + 1)
        for cycle in range(_CYCLES):
            parts.append(past[..., (newest - cycle * season).clamp(min=0)][..., None])
    lags = past[..., max(lookback - config.lags, 0) :]
    lags = torch.nn.functional.pad(lags, (config.lags - lags.shape[2], 0))
    recent = past[..., -min(max([*seasons, 1]), lookback) :]
    summary = [past.mean(2), past.std(2, correction=0), recent.mean(2)]
    parts.append(everywhere(torch.cat([lags, torch.stack(summary, 2)], 2)[:, :, None]))
    if batch.covariates is not None:
        given = batch.covariates
        ahead = given.known[..., lookback:].transpose(1, 2)
        before = torch.cat([given.past[..., -1:], given.past.mean(2, keepdim=True)], 2).flatten(1)
        parts += [everywhere(ahead[:, None]), everywhere(before[:, None, None])]
        parts.append(everywhere(given.static[:, None, None]))
    return torch.cat(parts, dim=3)
