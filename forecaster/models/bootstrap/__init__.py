"""Any point model with its own residuals: the honest baseline of every sampler, and a start for
bridges that has a spread.

``bank`` holds the residuals, ``calibrator`` selects how they are widened, ``forecaster`` draws.
"""

from forecaster.models.bootstrap.forecaster import ResidualBootstrap, ResidualBootstrapConfig

__all__ = ["ResidualBootstrap", "ResidualBootstrapConfig"]
