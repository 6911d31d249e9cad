"""Deep state-space forecasters (Gu et al., 2021 and 2022; Smith et al., 2023; Yu et al., 2024): a
residual stack that is read once and then streamed.
"""

from forecaster.models.state_space.config import StateSpaceConfig
from forecaster.models.state_space.forecaster import StateSpace

__all__ = ["StateSpace", "StateSpaceConfig"]
