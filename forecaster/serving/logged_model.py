"""The code of a logged model: MLflow copies this file beside it and runs it to load the pyfunc."""

import mlflow

from forecaster.serving.pyfunc import SavedPyfunc

mlflow.models.set_model(SavedPyfunc())
