"""Loaded models: each is read once, and the least recently used ones are dropped."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.data.ingest.parser import parse
from core.data.storage.cache import Cache
from core.data.storage.stores import Store, open_store
from core.errors import NotFoundError
from core.events import TrainingEnded
from core.models import ModelFile, Models
from core.spec import JobSpec
from core.training.loop import train
from core.training.model import TrainedModel

SPEC = {
    "experiment": "x",
    "dataset": "x",
    "data": {"target": "y", "split": {"train": 1, "valid": 0, "test": 0}},
    "network": [{"kind": "dense", "units": 1}],
    "loss": {"kind": "mean_squared_error"},
    "epochs": 1,
    "batch_size": 2,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three model files that differ in their seeds."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "x.csv").write_text("x,y\n1,2.5\n2,4.5\n3,6.5\n")
    table = parse(folder / "x.csv", "text/csv", folder / "x.arrow").path
    files = []
    for seed in range(3):
        workdir = folder / str(seed)
        workdir.mkdir()
        *_, ended = train(JobSpec.model_validate({**SPEC, "seed": seed}), table, workdir)
        assert isinstance(ended, TrainingEnded)
        files.append(workdir / ended.path)
    return files


@pytest.fixture
def store(tmp_path: Path, trained: list[Path]) -> Store:
    """A store with the model files as `models/0`, `models/1`, `models/2`."""
    store = open_store(f"file://{tmp_path / 'store'}")
    for number, path in enumerate(trained):
        store.put_file(path, f"models/{number}")
    return store


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the model files that were read."""
    names: list[str] = []
    load = TrainedModel.load

    def counted(path: Path) -> TrainedModel:
        names.append(path.name)
        return load(path)

    monkeypatch.setattr(TrainedModel, "load", counted)
    return names


def file(trained: list[Path], number: int) -> ModelFile:
    digest = hashlib.sha256(trained[number].read_bytes()).hexdigest()
    return ModelFile(f"models/{number}", digest)


def test_a_model_is_read_once_by_concurrent_callers(
    store: Store, trained: list[Path], tmp_path: Path, reads: list[str]
) -> None:
    models = Models(store, Cache(tmp_path / "cache"))
    together = threading.Barrier(8)

    def load(_: int) -> TrainedModel:
        together.wait()
        return models.load(file(trained, 0))

    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(load, range(8)))
    assert len(reads) == 1
    assert all(model is loaded[0] for model in loaded)


def test_the_least_recently_used_model_is_dropped(
    store: Store, trained: list[Path], tmp_path: Path, reads: list[str]
) -> None:
    models = Models(store, Cache(tmp_path / "cache"), most=2)
    for number in (0, 1, 0, 2):
        models.load(file(trained, number))
    assert len(reads) == 3
    models.load(file(trained, 0))
    assert len(reads) == 3
    models.load(file(trained, 1))
    assert len(reads) == 4


def test_the_newest_model_stays_even_above_the_limit_of_bytes(
    store: Store, trained: list[Path], tmp_path: Path, reads: list[str]
) -> None:
    models = Models(store, Cache(tmp_path / "cache"), most_bytes=1)
    for number in (0, 0, 1, 1, 0):
        models.load(file(trained, number))
    assert len(reads) == 3


def test_a_missing_model_is_loaded_once_it_exists(
    store: Store, trained: list[Path], tmp_path: Path
) -> None:
    models = Models(store, Cache(tmp_path / "cache"))
    store.delete("models/1")
    with pytest.raises(NotFoundError):
        models.load(file(trained, 1))
    store.put_file(trained[1], "models/1")
    assert models.load(file(trained, 1)).columns == ("x",)
