"""`make bench-predictions`: one row at a time to a warm small model, over HTTP on this machine.

The same network, the same rows: once by our api, once by `mlflow models serve` from the folder that
a finished job leaves in MLflow. Each server is a process of its own; requests are sent in turn over
one connection.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np

from benchmarks.ports import free_port
from benchmarks.results import Row, at_most, figure, publish
from chainrule.contract.status import JobStatus
from core import datasets, jobs, models
from core.data.ingest.parser import ParsedDataset, parse
from core.data.storage.stores import open_store
from core.db.engine import make_engine
from core.db.session import transaction
from core.events import TrainingEnded
from core.export import model_folder
from core.settings import Settings
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.training.loop import train
from core.training.model import TrainedModel
from migrations import runner

DIGITS_CSV = Path(__file__).parents[2] / "examples" / "digits.csv"
WARM_UP = 50


def main() -> None:
    """Measure and publish."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--requests", type=int, default=1000)
    asked.add_argument("--no-mlflow", action="store_true", help="measure ours alone")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        digits = parse(DIGITS_CSV, "text/csv", place / "digits.arrow")
        path = place / "trained"
        path.mkdir()
        *_, ended = train(JobSpec.model_validate(DIGITS), digits.path, path)
        assert isinstance(ended, TrainingEnded)
        model = TrainedModel.load(path / ended.path)
        names = [column.name for column in model.encoding.features]
        rng = np.random.default_rng(0)
        rows = [
            dict(zip(names, rng.integers(17, size=len(names)).tolist(), strict=True))
            for _ in range(100)
        ]
        published = ours(place, digits, path / ended.path, rows, given.requests)
        if not given.no_mlflow:
            published += theirs(place, model, rows, given.requests)
            published.append(
                figure("mlflow median / ours", published[3].value / published[0].value, "x")
            )
    publish("predictions", published)


def ours(
    place: Path, digits: ParsedDataset, model: Path, rows: list[dict[str, int]], count: int
) -> list[Row]:
    """One row through the api, by alias."""
    url = f"sqlite:///{place / 'database.sqlite'}"
    runner.upgrade(url)
    engine = make_engine(url)
    settings = Settings(database_url=url, data_dir=place / "data")
    store = open_store(settings.resolved_store_url)
    datasets.keep(store, digits)
    spec = JobSpec.model_validate(DIGITS)
    key = "models/bench/model.safetensors"
    store.put_file(model, key)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    with transaction(engine) as session:
        version = datasets.register(session, "digits", digits)
        job_id = jobs.submit(session, spec, version, owner="local").id
    with transaction(engine) as session:
        jobs.claim(session, job_id, node="n", worker="w", lease_seconds=60)
    with transaction(engine) as session:
        result = {"model_key": key, "model_digest": digest, "metrics": {}}
        end = jobs.End(JobStatus.FINISHED, result)
        jobs.finish_all(session, {job_id: 1}, {job_id: end})
    with transaction(engine) as session:
        models.register(session, "digits", job_id, owner="local")
        models.set_alias(session, "digits", "champion", 1, owner="local")
    engine.dispose()
    port = free_port()
    own = {
        "CHAINRULE_DATABASE_URL": url,
        "CHAINRULE_DATA_DIR": str(place / "data"),
        "CHAINRULE_PORT": str(port),
    }
    with serving([sys.executable, "-m", "api"], own, f"http://127.0.0.1:{port}/healthz"):
        address = f"http://127.0.0.1:{port}/v1/models/digits@champion/predict"
        times = measure(address, [{"rows": [row]} for row in rows], count)
    return [
        figure("ours median", 1e3 * float(np.median(times)), "ms"),
        at_most("ours p99", 1e3 * float(np.quantile(times, 0.99)), "ms", 10.0),
        figure("ours rate, one client", 1 / float(np.mean(times)), "1/s"),
    ]


def theirs(place: Path, model: TrainedModel, rows: list[dict[str, int]], count: int) -> list[Row]:
    """One row through `mlflow models serve`."""
    folder = place / "mlflow"
    folder.mkdir()
    kinds = {column.name: "long" for column in model.encoding.features}
    for name, content in model_folder(model, kinds=kinds).items():
        (folder / name).write_bytes(content)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder)]
    command += ["--env-manager", "local", "--port", str(port)]
    # It starts uvicorn by its name.
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with serving(command, own, f"http://127.0.0.1:{port}/ping"):
        bodies: list[dict[str, object]] = [
            {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
            for row in rows
        ]
        times = measure(f"http://127.0.0.1:{port}/invocations", bodies, count)
    return [
        figure("mlflow models serve median", 1e3 * float(np.median(times)), "ms"),
        figure("mlflow models serve p99", 1e3 * float(np.quantile(times, 0.99)), "ms"),
    ]


def measure(address: str, bodies: list[dict[str, object]], count: int) -> list[float]:
    """Seconds of each of `count` requests."""
    times = []
    with httpx.Client(timeout=30) as client:
        for number in range(WARM_UP + count):
            begun = time.perf_counter()
            answer = client.post(address, json=bodies[number % len(bodies)])
            times.append(time.perf_counter() - begun)
            answer.raise_for_status()
    return times[WARM_UP:]


@contextmanager
def serving(command: list[str], env: dict[str, str], health: str) -> Iterator[None]:
    """A server in a process group of its own until it is no longer needed."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait(lambda: httpx.get(health, timeout=5).is_success, process)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def wait(ready: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Until the server answers. Raises RuntimeError when it ended or takes minutes."""
    until = time.monotonic() + 180
    while time.monotonic() < until and process.poll() is None:
        try:
            if ready():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the server did not start")


if __name__ == "__main__":
    main()
