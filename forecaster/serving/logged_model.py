"""The code of a logged model: MLflow keeps a copy of this file beside the saved model and runs it
to load the pyfunc.
"""

import mlflow

from forecaster.serving.pyfunc import SavedPyfunc

mlflow.models.set_model(SavedPyfunc())
