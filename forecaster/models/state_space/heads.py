"""What a network's last features stand for: a path, quantiles that do not cross, or a Student-t
distribution a step.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from forecaster.diffusion.drawing import Draws
from forecaster.models.base import Distribution, Loss, path_errors
from forecaster.models.levels import between, draw
from forecaster.models.outlook import Centre
from forecaster.models.scoring_rules import pinball
from forecaster.models.state_space.config import StateSpaceConfig
from forecaster.networks.norms import WindowScale


class Head:
    """A point forecast (``size`` P = 1).

    Raw parameters (B, P, K, M) are in the window's own units, all others in z-scores.
    """

    distribution: Distribution = "none"
    centre: Centre = "mean"
    size = 1

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def invert(
        self, raw: Float[Tensor, "B P K M"], window: WindowScale
    ) -> Float[Tensor, "B P K M"]:
        """Parameters in z-scores from raw ones."""
        return raw * window.scale[:, None] + window.level[:, None]

    def errors(
        self, parameters: Float[Tensor, "B P K M"], target: Float[Tensor, "B K M"]
    ) -> Float[Tensor, "B E K M"]:
        """The elementwise training loss: absolute or squared error."""
        return path_errors(self.loss, parameters, target[:, None])

    def predict(self, parameters: Float[Tensor, "B P K M"]) -> Float[Tensor, "B K M"]:
        """The deterministic forecast."""
        return parameters[:, 0]

    def quantiles(
        self, parameters: Float[Tensor, "B P K M"], levels: Sequence[float]
    ) -> Float[Tensor, "B Q K M"]:
        """Quantiles, if ``distribution`` is ``quantiles``."""
        raise NotImplementedError

    def sample(
        self, parameters: Float[Tensor, "B P K M"], draws: Draws
    ) -> Float[Tensor, "B S K M"]:
        """Sample paths, if there is a distribution."""
        raise NotImplementedError


class Quantiles(Head):
    """Quantiles at ``levels``, sorted so that they never cross (see ``QuantileLinear``)."""

    distribution = "quantiles"
    centre = "median"

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels, self.size = levels, len(levels)

    def invert(
        self, raw: Float[Tensor, "B P K M"], window: WindowScale
    ) -> Float[Tensor, "B P K M"]:
        """Offsets from a normal distribution's quantiles, in the window's units, sorted."""
        normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(self.levels)).to(raw)
        quantiles = super().invert(raw + normal[:, None, None], window)
        # sorting is faster where the levels lie side by side
        return quantiles.movedim(1, -1).sort(dim=-1).values.movedim(-1, 1)

    def errors(
        self, parameters: Float[Tensor, "B P K M"], target: Float[Tensor, "B K M"]
    ) -> Float[Tensor, "B E K M"]:
        """Twice the pinball loss."""
        return pinball(parameters, target, self.levels)

    def predict(self, parameters: Float[Tensor, "B P K M"]) -> Float[Tensor, "B K M"]:
        """The median."""
        return between(parameters, self.levels, [0.5])[:, 0]

    def quantiles(
        self, parameters: Float[Tensor, "B P K M"], levels: Sequence[float]
    ) -> Float[Tensor, "B Q K M"]:
        return between(parameters, self.levels, levels)

    def sample(
        self, parameters: Float[Tensor, "B P K M"], draws: Draws
    ) -> Float[Tensor, "B S K M"]:
        return draw(parameters, self.levels, draws)


class StudentT(Head):
    """Student's t of every step and channel: location, scale, degrees of freedom above 2."""

    distribution = "samples"
    size = 3

    def __init__(self) -> None:
        pass

    def invert(
        self, raw: Float[Tensor, "B P K M"], window: WindowScale
    ) -> Float[Tensor, "B P K M"]:
        """The location is normalised like values, the scale by the window's scale alone."""
        loc = raw[:, 0] * window.scale + window.level
        scale = (F.softplus(raw[:, 1]) + 1e-3) * window.scale
        return torch.stack([loc, scale, 2 + 1e-3 + F.softplus(raw[:, 2])], dim=1)

    def errors(
        self, parameters: Float[Tensor, "B P K M"], target: Float[Tensor, "B K M"]
    ) -> Float[Tensor, "B E K M"]:
        """The negative log-likelihood."""
        loc, scale, df = parameters.unbind(1)
        return -torch.distributions.StudentT(df, loc, scale).log_prob(target)[:, None]

    def sample(
        self, parameters: Float[Tensor, "B P K M"], draws: Draws
    ) -> Float[Tensor, "B S K M"]:
        """Independent in time and channel, a seed for each window."""
        drawn = []
        for row, seed in zip(parameters, draws.seeds, strict=True):
            loc, scale, df = row.unbind(0)
            shape = (draws.samples, *df.shape)
            t = np.random.default_rng(seed).standard_t(df.double().cpu().numpy(), size=shape)
            drawn.append(loc + scale * torch.from_numpy(t).to(scale))
        return torch.stack(drawn)


def make_head(config: StateSpaceConfig) -> Head:
    """The head for the configured ``output``."""
    if config.output == "quantiles":
        return Quantiles(config.levels)
    return StudentT() if config.output == "student-t" else Head(config.loss)
