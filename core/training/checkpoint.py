"""A checkpoint: everything that training needs to continue as if it had never stopped.

A safetensors file: arrays for weights, optimizer slots and sums; JSON metadata for the position in
the data and random states.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from core.errors import InvalidError
from core.nn.array import Array, to_host
from core.training.trainer import Trainer

FORMAT = "chainrule.checkpoint.1"


Snapshot: TypeAlias = tuple[dict[str, Array], dict[str, str]]


def capture(trainer: Trainer, progress: dict[str, Any], best: Array | None) -> Snapshot:
    """The arrays and metadata of a checkpoint; `progress` is the state of the loop.

    The arrays begin with the stack axes and are copies on the host.
    """
    arrays = _vectors(trainer)
    if best is not None:
        arrays["best"] = best
    for index, tally in enumerate(trainer.tallies):
        arrays.update({f"tally.{index}.{n}": value for n, value in tally.state().items()})
    metadata = {
        "format": FORMAT,
        "cursor": json.dumps(
            {"step": trainer.step, "epoch": trainer.epoch, "batch": trainer.batch}
        ),
        "losses": json.dumps([np.asarray(to_host(x)).tolist() for x in trainer.losses]),
        "chance": json.dumps(trainer.generator_states()),
        "progress": json.dumps(progress),
    }
    return {name: np.array(to_host(a), order="C") for name, a in arrays.items()}, metadata


def _vectors(trainer: Trainer) -> dict[str, Array]:
    """All arrays of fixed shape that training changes, by name."""
    arrays = {
        "weights": trainer.network.weights,
        "state": trainer.network.state,
        "loss_sum": trainer.loss_sum,
        "weight_sum": trainer.weight_sum,
        **{f"slot.{name}": slot for name, slot in trainer.updater.slots.items()},
    }
    if trainer.averaged is not None:
        arrays["averaged"] = trainer.averaged
    if trainer.accumulated is not None:
        arrays["accumulated"] = trainer.accumulated
    return arrays


def save(
    path: Path, arrays: dict[str, Array], metadata: dict[str, str], *, durable: bool = True
) -> str:
    """Write a file atomically. Returns the SHA-256 of the file.

    Without `durable` a power failure may lose it: for files that are copied on at once.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(arrays, partial, metadata)
        with partial.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
            if durable:
                os.fsync(written.fileno())
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()  # free the space on a full disk
        raise
    if not durable:
        return digest
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # makes the new name durable
    finally:
        os.close(folder)
    return digest


def restore(
    trainer: Trainer, arrays: dict[str, Array], metadata: dict[str, str]
) -> tuple[dict[str, Any], Array | None]:
    """Load a checkpoint into a new trainer of the same spec and data.

    Returns the state of the loop and the best weights. Raises InvalidError when the checkpoint is
    of another network.
    """
    if metadata.get("format") != FORMAT:
        raise InvalidError("this is not a checkpoint of this version")
    xp = trainer.xp
    for name, target in _vectors(trainer).items():
        if name not in arrays or arrays[name].shape != target.shape:
            raise InvalidError(f"the checkpoint is of another network: {name} does not fit")
        target[...] = xp.asarray(arrays[name])
    for index, tally in enumerate(trainer.tallies):
        start = f"tally.{index}."
        state = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
        tally.restore({name: xp.asarray(array) for name, array in state.items()})
    cursor = json.loads(metadata["cursor"])
    trainer.updater.step = cursor["step"]
    trainer.epoch, trainer.batch = cursor["epoch"], cursor["batch"]
    trainer.losses = tuple(_loss(value) for value in json.loads(metadata["losses"]))
    trainer.restore_generators(json.loads(metadata["chance"]))
    best = arrays.get("best")
    return json.loads(metadata["progress"]), None if best is None else xp.asarray(best)


def select(snapshot: Snapshot, rows: list[int]) -> Snapshot:
    """The snapshot of a stack reduced to some of its networks, in this order."""
    arrays, metadata = snapshot
    chance, losses = json.loads(metadata["chance"]), json.loads(metadata["losses"])
    changed = {
        "chance": json.dumps([chance[row] for row in rows]),
        "losses": json.dumps([[values[row] for row in rows] for values in losses]),
    }
    return {name: array[rows] for name, array in arrays.items()}, {**metadata, **changed}


def data_memory_bytes(snapshot: Snapshot) -> int:
    """The memory that the order of streamed rows depends on; 0 when rows are in memory."""
    progress = json.loads(snapshot[1].get("progress", "{}"))
    return int(progress.get("data_memory_bytes", 0))


def _loss(value: Any) -> Any:
    """A loss as it was stored: one number, or an array with one for each network."""
    return np.array(value) if isinstance(value, list) else value


def read(path: Path) -> Snapshot:
    """Arrays and metadata of a safetensors file. Raises InvalidError when it is damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return arrays, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise InvalidError(f"{path.name} is damaged or not a safetensors file: {error}") from error
