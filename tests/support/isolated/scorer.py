"""Scores an MLflow model folder for rows on stdin, where nothing of ours can be imported."""

import json
import sys

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models.utils import _read_example


def main() -> None:
    """Print what the model says for its input example and for the rows on stdin."""
    # As pandas was before 3: MLflow cannot hand its newer texts to onnxruntime.
    pd.set_option("future.infer_string", False)
    model = mlflow.pyfunc.load_model(sys.argv[1])
    asked = json.load(sys.stdin)
    rows = pd.DataFrame(asked) if isinstance(asked[0], dict) else np.array(asked, np.float64)
    example = model.predict(_read_example(model.metadata, sys.argv[1]))
    found = model.predict(rows)
    print(
        json.dumps(
            {
                "inputs": str(model.metadata.get_input_schema()),
                "example": sorted(example),
                "answers": {name: np.asarray(found[name]).tolist() for name in found},
            }
        )
    )


if __name__ == "__main__":
    main()
