"""Probabilistic time-series forecasting with series-to-series diffusion bridges."""

__version__ = "0.1.0"
