"""What all denoising networks have in common."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class NetworkShape:
    """What a denoising network is built for: ``steps`` T of the path, ``variates`` K, ``length`` S
    of the positions, ``features`` F at each of them, of which the first is y_t.
    """

    steps: int
    variates: int
    length: int
    features: int


class DenoisingNetwork(nn.Module):
    """A network from features (B, K, S, F) and steps t (B,) to (B, K, S), built from its settings
    and a ``NetworkShape``. What the output stands for is the denoiser's affair.

    ``memory``: floats a channel and position that a forward pass takes, by which samples are drawn
    in chunks. ``one_time_each``: the network sees the positions one by one.
    """

    memory = 512
    one_time_each = False
