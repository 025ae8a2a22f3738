"""Scores an MLflow model folder for rows on stdin, where our packages cannot be imported."""

import json
import sys

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models.utils import _read_example


def main() -> None:
    """Print as JSON the outputs for the input example of the model and for the rows on stdin."""
    # As pandas was before 3: MLflow cannot hand its newer texts to onnxruntime.
    pd.set_option("future.infer_string", False)
    model = mlflow.pyfunc.load_model(sys.argv[1])
    request = json.load(sys.stdin)
    rows = pd.DataFrame(request) if isinstance(request[0], dict) else np.array(request, np.float64)
    example = model.predict(_read_example(model.metadata, sys.argv[1]))
    outputs = model.predict(rows)
    print(
        json.dumps(
            {
                "inputs": str(model.metadata.get_input_schema()),
                "example": sorted(example),
                "answers": {name: np.asarray(outputs[name]).tolist() for name in outputs},
            }
        )
    )


if __name__ == "__main__":
    main()
