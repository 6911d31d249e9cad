"""Configuration → denoising network: the one table of names and classes."""

from forecaster.config.model_config import (
    ConvolutionConfig,
    MixerConfig,
    PerceptronConfig,
    ResidualNetworkConfig,
)
from forecaster.errors import UserError
from forecaster.networks.convolution import ConvolutionNetwork
from forecaster.networks.mixer import MixerNetwork
from forecaster.networks.perceptron import PerceptronNetwork
from forecaster.networks.residual import ResidualNetwork

NetworkConfig = ResidualNetworkConfig | ConvolutionConfig | PerceptronConfig | MixerConfig
Network = ResidualNetwork | ConvolutionNetwork | PerceptronNetwork | MixerNetwork


def build_network(
    config: NetworkConfig, steps: int, variates: int, length: int, features: int
) -> Network:
    """A network from (B, K, S, F) and t to (B, K, S). Its ``memory``: floats a channel and position
    of a forward pass.
    """
    match config:
        case ResidualNetworkConfig():
            if config.time == "attention" or config.attend_channels:
                check_heads(
                    config.channels, config.heads, "model.network.heads", "model.network.channels"
                )
            return ResidualNetwork(config, steps, variates, length, features)
        case ConvolutionConfig():
            return ConvolutionNetwork(config, steps, variates, length, features)
        case PerceptronConfig():
            return PerceptronNetwork(config, steps, variates, length, features)
        case MixerConfig():
            return MixerNetwork(config, steps, variates, length, features)


def check_heads(width: int, heads: int, heads_key: str, width_key: str) -> None:
    """Attention heads share the width."""
    if width % heads:
        raise UserError(f"{heads_key}: has to divide {width_key}; change one of them")
