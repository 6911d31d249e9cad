"""The forecasters: every one registers itself by its name (``forecaster.config.parts``)."""
