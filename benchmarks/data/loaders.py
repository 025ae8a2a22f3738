"""Rows a second of the loaders alone: ours, and PyTorch's DataLoader on the same bytes."""

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.synthetic import PIXELS
from core.data.prepare.lazy_features import Prepared
from core.data.prepare.pipeline import Pipeline, Step
from core.data.prepare.preparation import Learned
from core.data.prepare.shuffle_buffer import Windows
from core.data.prepare.steps.rescale import Rescale
from core.data.table.reader import Stretches

BATCH = 256


def ours(path: Path, window_bytes: int) -> float:
    """Rows a second of an epoch: shuffled by windows, divided by 255."""
    stretches = Stretches(path)
    features = Prepared(
        stretches,
        np.arange(len(stretches)),
        ("picture",),
        np.dtype("f4"),
        Pipeline((Step("picture", Rescale(), Learned()),)),
        row_shape=(PIXELS,),
    )
    windows = Windows(features, BATCH, window_bytes, seed=0, epochs=1)
    count = -(-len(features) // BATCH)
    begun = time.perf_counter()
    for number in range(count):
        windows.batch(0, number)
    seconds = time.perf_counter() - begun
    windows.close()
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
