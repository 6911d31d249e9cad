"""Residual bootstrap of a point model: a probabilistic baseline, and a prior with a spread.

``bank`` stores the residuals, ``calibrator`` selects their scaling, ``forecaster`` draws.
"""

from forecaster.models.bootstrap.forecaster import ResidualBootstrap, ResidualBootstrapConfig

__all__ = ["ResidualBootstrap", "ResidualBootstrapConfig"]
