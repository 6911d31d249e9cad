"""Gaussian copula of a point forecast's residuals: samples, and the coordinates of a bridge.

A residual path (K, M) is made of standard normal numbers w:

    z = colour(w)                 correlated over channels and lead times, each entry N(0, 1)
    e = F⁻¹(Φ(z))                 each channel and lead time with its own distribution, of mean 0
    r = m + g·e                   mean and size by place in the season, the size of the window

``correlation`` has the first line, ``marginals`` the second, ``law`` the third.
"""

from forecaster.models.copula.forecaster import ResidualCopula, ResidualCopulaConfig

__all__ = ["ResidualCopula", "ResidualCopulaConfig"]
