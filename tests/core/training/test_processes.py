"""Equal seeds give equal weights in every process, however many threads read the data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.events import TrainingEnded
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training.loop import train

SPEC = JobSpec.model_validate(
    {
        **DIGITS,
        "epochs": 2,
        "network": [
            {"kind": "dense", "units": 16},
            {"kind": "batch_norm"},
            {"kind": "relu"},
            {"kind": "dropout", "rate": 0.2},
            {"kind": "dense", "units": 10},
        ],
    }
)
TRAINS = """
import sys
from pathlib import Path
import pyarrow
from core.spec import JobSpec
from core.training.loop import train
spec = JobSpec.model_validate_json(sys.argv[1])
for event in train(spec, Path(sys.argv[2]), Path(sys.argv[3])):
    last = event or last
print(last.weights_digest, pyarrow.cpu_count())
"""


@pytest.mark.parametrize("threads", [1, 4])
def test_a_process_of_its_own_finds_the_same_weights(
    threads: int, digits: Path, tmp_path: Path
) -> None:
    ends = [event for event in train(SPEC, digits, tmp_path) if isinstance(event, TrainingEnded)]
    environment = {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": str(threads),  # what Arrow reads data with
        "PYTHONHASHSEED": str(threads),
    }
    folder = tmp_path / "other"
    folder.mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", TRAINS, SPEC.model_dump_json(), str(digits), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.split() == [ends[0].weights_digest, str(threads)], answer.stderr
