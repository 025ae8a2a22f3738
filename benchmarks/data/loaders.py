"""Rows a second of the loaders alone: ours, and PyTorch's DataLoader on the same bytes."""

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.synthetic import PIXELS
from core.data.prepare.features import StreamedFeatures
from core.data.prepare.pipeline import Pipeline, Step
from core.data.prepare.preparation import Learned
from core.data.prepare.shuffle_buffer import ShuffleBuffer
from core.data.prepare.steps.rescale import Rescale
from core.data.table.reader import TableReader

BATCH = 256


def ours(path: Path, buffer_bytes: int) -> float:
    """Rows a second of an epoch: through the shuffle buffer, divided by 255."""
    reader = TableReader(path)
    features = StreamedFeatures(
        reader=reader,
        numbers=np.arange(len(reader)),
        names=("picture",),
        dtype=np.dtype("f4"),
        pipeline=Pipeline((Step("picture", Rescale(), Learned()),)),
        row_shape=(PIXELS,),
    )
    buffer = ShuffleBuffer(features, BATCH, buffer_bytes, seed=0, epochs=1)
    count = -(-len(features) // BATCH)
    begun = time.perf_counter()
    for number in range(count):
        buffer.batch(0, number)
    seconds = time.perf_counter() - begun
    buffer.close()
    return len(features) / seconds


def torch_there() -> bool:
    """Whether PyTorch is installed: `make peers` does that."""
    return importlib.util.find_spec("torch") is not None


class Pictures:
    """The same pictures in one memory-mapped file, as a map-style dataset of PyTorch."""

    def __init__(self, path: Path) -> None:
        self.pictures = np.load(path, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> Any:
        return self.pictures[row].astype(np.float32) / np.float32(255)


def torch_s(path: Path, workers: int) -> float:
    """Rows a second of PyTorch's loader, shuffled as a whole, with so many worker processes."""
    data = importlib.import_module("torch.utils.data")
    pictures = Pictures(path)
    loader = data.DataLoader(pictures, batch_size=BATCH, shuffle=True, num_workers=workers)
    begun = time.perf_counter()
    rows = sum(len(batch) for batch in loader)
    return rows / (time.perf_counter() - begun)
