"""Deep state-space forecasters, which can be streamed.

Gu et al. (2021, 2022), Smith et al. (2023), Yu et al. (2024).
"""

from forecaster.models.state_space.config import StateSpaceConfig
from forecaster.models.state_space.forecaster import StateSpace

__all__ = ["StateSpace", "StateSpaceConfig"]
