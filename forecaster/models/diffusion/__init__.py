"""The diffusion forecasters: schedule, prior, condition, network, objective and sampler put
together.
"""

from forecaster.models.diffusion.config import DiffusionConfig, SamplerConfig
from forecaster.models.diffusion.forecaster import Diffusion

__all__ = ["Diffusion", "DiffusionConfig", "SamplerConfig"]
