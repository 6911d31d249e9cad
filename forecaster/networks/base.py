"""The base of all denoising networks."""

from dataclasses import dataclass

from torch import nn

from forecaster.config.parts import base_of


@dataclass(frozen=True)
class NetworkShape:
    """Sizes of a denoising network: diffusion ``steps`` T, ``variates`` K, ``length`` S positions.

    ``features``: F at each position, the first of which is y_t.
    """

    steps: int
    variates: int
    length: int
    features: int


@base_of("network")
class DenoisingNetwork(nn.Module):
    """A network from features (B, K, S, F) and steps t (B,) to (B, K, S).

    Built from its settings and a ``NetworkShape``; ``Denoiser`` interprets the output. ``memory``:
    floats that a forward pass takes for each channel and position, which determines the chunks that
    samples are drawn in. ``one_time_each``: the network processes each position separately.
    """

    memory = 512
    one_time_each = False
