"""Configuration → model: the one table of names and classes."""

from forecaster.config import (
    LinearConfig,
    ModelConfig,
    QuantileLinearConfig,
    ResidualBootstrapConfig,
    S2DBMConfig,
    SeasonalNaiveConfig,
)
from forecaster.models.base import Draws, Forecaster, empty_future
from forecaster.models.linear import Linear, QuantileLinear
from forecaster.models.naive import ResidualBootstrap, SeasonalNaive
from forecaster.models.s2dbm import S2DBM

__all__ = ["Draws", "Forecaster", "build_model", "empty_future"]


def build_model(config: ModelConfig, channels: int, lookback: int, horizon: int, season: int) -> Forecaster:
    """The model of a configuration for K channels; ``season`` is the interval's own, in steps."""
    match config:
        case SeasonalNaiveConfig():
            return SeasonalNaive(season if config.season is None else config.season, horizon)
        case LinearConfig():
            return Linear(config, lookback, horizon)
        case QuantileLinearConfig():
            return QuantileLinear(config, lookback, horizon)
        case ResidualBootstrapConfig():
            base = build_model(config.base, channels, lookback, horizon, season)
            return ResidualBootstrap(config, base, channels, horizon)
        case S2DBMConfig():
            return S2DBM(config, channels, lookback, horizon)
