"""Reads a run with MLflow's own client, where our packages cannot be imported."""

import json
import sys
from pathlib import Path

import mlflow


def main() -> None:
    """Print as JSON the run that the name of an experiment and a filter select."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(sys.argv[1])
    (run,) = client.search_runs([experiment.experiment_id], sys.argv[2])
    table = mlflow.search_runs([experiment.experiment_id], sys.argv[2])
    folder = Path(client.download_artifacts(run.info.run_id, "", "."))
    (dataset,) = [entry.dataset for entry in run.inputs.dataset_inputs]
    print(
        json.dumps(
            {
                "status": run.info.status,
                "params": run.data.params,
                "tags": run.data.tags,
                "columns": sorted(table.columns),
                "history": {
                    key: [
                        (point.step, point.value)
                        for point in client.get_metric_history(run.info.run_id, key)
                    ]
                    for key in run.data.metrics
                },
                "dataset": [dataset.name, dataset.digest, json.loads(dataset.schema)],
                "files": {
                    str(path.relative_to(folder)): path.stat().st_size
                    for path in folder.rglob("*")
                    if path.is_file()
                },
                "spec": json.loads((folder / "spec.json").read_text()),
            }
        )
    )


if __name__ == "__main__":
    main()
