"""Dense layers over history and covariates (TiDE: Das et al., TMLR 2023)."""

import itertools
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecaster.config.parts import register
from forecaster.config.sections import Depth, Fraction, PartConfig, Size
from forecaster.data.windows import Batch
from forecaster.models.adjusted import Adjustment, plus
from forecaster.models.base import Loss, Shape
from forecaster.models.point import TrainedForecaster
from forecaster.networks.dense import DenseBlock, ProjectedCovariates
from forecaster.networks.norms import Norm, window_scale


class TideConfig(PartConfig):
    """Dense layers over history and covariates, shared by the channels (TiDE).

    Das et al., arXiv 2304.08424.
    """

    name: Literal["tide"] = "tide"
    norm: Norm = "standard"
    loss: Loss = "mse"
    hidden: Size = 128
    encoder_layers: Depth = 1
    decoder_layers: Depth = 1
    decoder_output: Size = 8
    temporal_hidden: Size = 32
    feature_width: Size = 4
    dropout: Fraction = 0.2


@register("forecaster", TideConfig)
class Tide(TrainedForecaster):
    """An encoder of the window, a decoder to features of each step, a value from those.

    The value of a step is made from its decoded features and from its own known covariates, beside
    a linear map of the history. Additive effects are taken out before the window is normalised: a
    network of normalised values has to learn them anew for each window's scale.
    """

    def __init__(self, config: TideConfig, shape: Shape) -> None:
        super().__init__(config.norm, config.loss, shape)
        self.steps, self.width = shape.label + shape.horizon, config.decoder_output
        hidden, dropout = config.hidden, config.dropout
        self.adjustment = Adjustment(shape)
        self.register_load_state_dict_pre_hook(_without_effects)
        self.covariates = _covariates(config, shape)
        seen, at_steps = 0, 0
        if self.covariates is not None:
            seen, at_steps = self.covariates.features, self.covariates.at_steps
        layers = config.encoder_layers + config.decoder_layers
        widths = [shape.lookback + seen, *[hidden] * (layers - 1), self.steps * self.width]
        self.dense = nn.Sequential(
            *(DenseBlock(i, hidden, o, dropout) for i, o in itertools.pairwise(widths))
        )
        # a normalised single value would be a constant
        inputs = self.width + at_steps
        self.value = DenseBlock(inputs, config.temporal_hidden, 1, dropout, norm=False)
        self.linear = nn.Linear(shape.lookback, self.steps)

    def predict_with_label(self, batch: Batch) -> Float[Tensor, "B K M"]:
        batch, own = self.adjustment(batch)
        window = window_scale(batch.past, batch.past_mask, self.norm)
        past = window.apply(batch.past) * batch.past_mask
        seen, at_steps = self._features(batch)
        channels = past.shape[1]
        inputs = torch.cat([past, seen[:, None].expand(-1, channels, -1)], dim=2)
        decoded = self.dense(inputs).unflatten(2, (self.steps, self.width))
        at_leads = at_steps[:, None, -self.steps :].expand(-1, channels, -1, -1)
        values = self.value(torch.cat([decoded, at_leads], dim=3))[..., 0]
        return plus(window.invert(values + self.linear(past)), own)

    def _features(self, batch: Batch) -> tuple[Float[Tensor, "B F"], Float[Tensor, "B T W"]]:
        """Those of the covariates of the windows, and of the known ones at each step."""
        if self.covariates is None:
            size = len(batch.past)
            return batch.past.new_zeros(size, 0), batch.past.new_zeros(size, self.steps, 0)
        given = batch.covariates
        assert given is not None
        features: tuple[Tensor, Tensor] = self.covariates(given.known, given.past, given.static)
        return features


def _without_effects(module: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """Weights that were saved without additive effects have those of a new model, which are 0."""
    for name, value in module.state_dict().items():
        if name.startswith("adjustment."):
            state.setdefault(prefix + name, value)


def _covariates(config: TideConfig, shape: Shape) -> ProjectedCovariates | None:
    sizes = shape.covariates
    if not sizes.learnt:
        return None
    return ProjectedCovariates(
        shape.lookback,
        shape.horizon,
        sizes.known,
        sizes.past,
        sizes.static,
        config.feature_width,
        config.temporal_hidden,
        config.dropout,
    )
