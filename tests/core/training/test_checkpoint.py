"""A checkpoint on disk is whole or not there, and its digest is that of the bytes."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidError
from core.training.checkpoint import read, save

NUMBERS = 1_000_000
WRITES_FOREVER = f"""
import itertools, sys
from pathlib import Path
import numpy as np
from core.training.checkpoint import save
path = Path(sys.argv[1])
for version in itertools.count(1):
    save(path, {{"weights": np.full({NUMBERS}, version, np.float32)}}, {{"version": str(version)}})
    print(version, flush=True)
"""


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    digest = save(path, {"weights": np.arange(5.0)}, {"format": "x"})
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [file.name for file in tmp_path.iterdir()] == ["one.safetensors"]
    arrays, metadata = read(path)
    assert arrays["weights"].tolist() == [0, 1, 2, 3, 4]
    assert metadata == {"format": "x"}


def test_a_writer_that_is_killed_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    with subprocess.Popen(
        [sys.executable, "-c", WRITES_FOREVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        # It is killed at a moment nobody chose, most likely in the middle of its next version.
        written = [int(writer.stdout.readline()) for _ in range(5)]
        writer.send_signal(signal.SIGKILL)
    arrays, metadata = read(path)
    version = int(metadata["version"])
    assert version >= written[-1]
    assert arrays["weights"].shape == (NUMBERS,)
    assert (arrays["weights"] == version).all()


def test_a_write_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save(path, {"weights": np.zeros(3)}, {})
    (tmp_path / "one.safetensors.partial").mkdir()  # nothing can be written there
    with pytest.raises(Exception, match=r"partial|directory|Is a"):
        save(path, {"weights": np.ones(3)}, {})
    assert read(path)[0]["weights"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("keep", [0, 7, 50, -1])
def test_a_file_cut_short_is_refused(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save(path, {"weights": np.arange(100.0)}, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InvalidError, match="damaged"):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="nowhere"):
        read(tmp_path / "nowhere.safetensors")
