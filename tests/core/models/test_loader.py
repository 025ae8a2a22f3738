"""Loaded models: read once however many ask, the longest unused ones let go."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.data.ingest.parser import parse
from core.data.storage.cache import Cache
from core.data.storage.stores import open_store
from core.errors import NotFoundError
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
def trained(tmp_path_factory):
    """Three model files that differ in their seeds."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "x.csv").write_text("x,y\n1,2.5\n2,4.5\n3,6.5\n")
    table = parse(folder / "x.csv", "text/csv", folder / "x.arrow").path
    files = []
    for seed in range(3):
        workdir = folder / str(seed)
        workdir.mkdir()
        *_, ended = train(JobSpec.model_validate({**SPEC, "seed": seed}), table, workdir)
        files.append(workdir / ended.path)
    return files


@pytest.fixture
def store(tmp_path, trained):
    """A store with the model files as `models/0`, `models/1`, `models/2`."""
    store = open_store(f"file://{tmp_path / 'store'}")
    for number, path in enumerate(trained):
        store.put_file(path, f"models/{number}")
    return store


@pytest.fixture
def reads(monkeypatch):
    """How often a model file was read."""
    read, load = [], TrainedModel.load.__func__

    def counted(cls, path):
        read.append(path.name)
        return load(cls, path)

    monkeypatch.setattr(TrainedModel, "load", classmethod(counted))
    return read


def file(trained, number):
    digest = hashlib.sha256(trained[number].read_bytes()).hexdigest()
    return ModelFile(f"models/{number}", digest)


def test_a_model_is_read_once_however_many_ask_at_once(store, trained, tmp_path, reads):
    models = Models(store, Cache(tmp_path / "cache"))
    together = threading.Barrier(8)

    def load(_):
        together.wait()
        return models.load(file(trained, 0))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(load, range(8)))
    assert len(reads) == 1
    assert all(model is found[0] for model in found)


def test_the_longest_unused_model_is_let_go(store, trained, tmp_path, reads):
    models = Models(store, Cache(tmp_path / "cache"), most=2)
    for number in (0, 1, 0, 2):
        models.load(file(trained, number))
    assert len(reads) == 3
    models.load(file(trained, 0))
    assert len(reads) == 3
    models.load(file(trained, 1))
    assert len(reads) == 4


def test_the_newest_stays_even_beyond_the_bytes_allowed(store, trained, tmp_path, reads):
    models = Models(store, Cache(tmp_path / "cache"), most_bytes=1)
    for number in (0, 0, 1, 1, 0):
        models.load(file(trained, number))
    assert len(reads) == 3


def test_a_model_that_is_missing_at_first_is_found_later(store, trained, tmp_path):
    models = Models(store, Cache(tmp_path / "cache"))
    store.delete("models/1")
    with pytest.raises(NotFoundError):
        models.load(file(trained, 1))
    store.put_file(trained[1], "models/1")
    assert models.load(file(trained, 1)).columns == ("x",)
