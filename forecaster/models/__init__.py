"""Configuration → model: the one table of names and classes."""

from forecaster.config.model_config import (
    AverageConfig,
    DiffusionConfig,
    LinearConfig,
    ModelConfig,
    QuantileLinearConfig,
    ResidualBootstrapConfig,
    SeasonalNaiveConfig,
    StateSpaceConfig,
    TransformerConfig,
)
from forecaster.errors import UserError
from forecaster.models.base import Draws, Forecaster, StreamingState, empty_future
from forecaster.models.bootstrap import ResidualBootstrap
from forecaster.models.diffusion import Diffusion
from forecaster.models.linear import Linear, QuantileLinear
from forecaster.models.naive import SeasonalNaive
from forecaster.models.point import Average
from forecaster.models.state_space import StateSpace
from forecaster.models.transformer import Transformer

__all__ = ["Draws", "Forecaster", "StreamingState", "build_model", "empty_future"]


def build_model(
    config: ModelConfig, channels: int, lookback: int, horizon: int, season: int, label: int = 0
) -> Forecaster:
    """The model of a configuration for K channels; ``season`` is the interval's own, in steps.

    ``label``: the steps of the history that a bridge's prior has to give, too.
    """
    match config:
        case SeasonalNaiveConfig():
            if label:
                raise UserError(
                    "model.label: seasonal naive gives no label; set it to 0, or take another prior"
                )
            return SeasonalNaive(season if config.season is None else config.season, horizon)
        case LinearConfig():
            return Linear(config, lookback, horizon, label)
        case TransformerConfig():
            return Transformer(config, lookback, horizon, label)
        case StateSpaceConfig():
            return StateSpace(config, channels, lookback, horizon, label)
        case AverageConfig():
            return Average(
                [build_model(m, channels, lookback, horizon, season, label) for m in config.members]
            )
        case QuantileLinearConfig():
            return QuantileLinear(config, lookback, horizon)
        case ResidualBootstrapConfig():
            _check_point(config.base, "model.base")
            base = build_model(config.base, channels, lookback, horizon, season, label)
            return ResidualBootstrap(config, base, channels, horizon, season, label)
        case DiffusionConfig():
            if config.label > lookback:
                raise UserError(
                    f"model.label: {config.label} is more than the lookback of {lookback}; lower it"
                )
            prior = None
            if config.prior is not None:
                _check_point(config.prior, "model.prior")
                prior = build_model(config.prior, channels, lookback, horizon, season, config.label)
            return Diffusion(config, prior, channels, lookback, horizon)


def _check_point(config: ModelConfig, key: str) -> None:
    """What others build on gives paths, not distributions."""
    if isinstance(config, StateSpaceConfig) and config.output != "point":
        raise UserError(f"{key}.output: {config.output} cannot be built on; set it to point")
