"""Scores an MLflow model folder for rows on stdin, where nothing of ours can be imported."""

import json
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder

OURS = {"api", "chainrule", "core", "migrations", "worker"}


class Refusing(MetaPathFinder):
    """Stands before every other finder and refuses what is ours."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in OURS:
            raise ImportError(f"{fullname} must not be needed")


def main() -> None:
    """Print what the model says for its input example and for the rows on stdin."""
    sys.meta_path.insert(0, Refusing())
    # After the way is barred, not before.
    np, pd = import_module("numpy"), import_module("pandas")
    # As pandas was before 3: MLflow cannot hand its newer texts to onnxruntime.
    pd.set_option("future.infer_string", False)
    read_example = import_module("mlflow.models.utils")._read_example
    model = import_module("mlflow.pyfunc").load_model(sys.argv[1])
    asked = json.load(sys.stdin)
    rows = pd.DataFrame(asked) if isinstance(asked[0], dict) else np.array(asked, np.float64)
    example = model.predict(read_example(model.metadata, sys.argv[1]))
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
