"""Base images can be pinned by digest: looked up by a program, written to .env, used by compose."""

import hashlib
import re
import sys
from pathlib import Path

import pytest

from deploy import pin_images
from tests.deploy import compose

COMPOSE = (compose.ROOT / "docker-compose.yml").read_text()
PROGRAM = """#!{python}
import hashlib, sys
print("sha256:" + hashlib.sha256(sys.argv[-1].encode()).hexdigest())
"""


def install(folder: Path, name: str, text: str = PROGRAM) -> None:
    """Put a program on the PATH that shows a digest made of its last argument."""
    path = folder / name
    path.write_text(text.format(python=sys.executable))
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_every_image_of_others_can_be_replaced() -> None:
    names = pin_images.images(COMPOSE)
    services = compose.services(compose.filled_in())
    others = {s.document["image"] for s in services.values() if not s.ours}
    assert set(names.values()) == others | {names["PYTHON_IMAGE"]}
    dockerfile = (compose.ROOT / "Dockerfile").read_text()
    assert re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.M) == [names["PYTHON_IMAGE"]]
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.M))
    bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.M)) - stages
    assert bases == {"${PYTHON_IMAGE}"}


@pytest.mark.parametrize(
    ("program", "argument"),
    [
        ("docker", "postgres:17"),
        ("skopeo", "docker://docker.io/library/postgres:17"),
        ("crane", "postgres:17"),
    ],
)
def test_pinned_images_are_those_that_compose_uses(
    program: str, argument: str, programs: Path, tmp_path: Path
) -> None:
    install(programs, program)
    (tmp_path / ".env").write_text("A=1\nPOSTGRES_IMAGE=old\nB=2\n")
    assert pin_images.main(tmp_path) == 0
    assert pin_images.main(tmp_path) == 0
    lines = (tmp_path / ".env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    assert len(lines) == len(variables) == 2 + len(pin_images.images(COMPOSE))
    assert list(variables)[:3] == ["A", "POSTGRES_IMAGE", "B"]
    expected = hashlib.sha256(argument.encode()).hexdigest()
    assert variables["POSTGRES_IMAGE"] == f"postgres:17@sha256:{expected}"
    services = compose.services(compose.filled_in() | variables)
    assert services["postgres"].document["image"] == variables["POSTGRES_IMAGE"]
    built = services["api"].document["build"]["args"]["PYTHON_IMAGE"]
    assert built == variables["PYTHON_IMAGE"]


@pytest.mark.parametrize(
    "text",
    ["#!{python}\nraise SystemExit('no such host')\n", "#!{python}\nprint('latest')\n"],
    ids=["no registry", "no digest"],
)
def test_nothing_is_written_without_a_digest(
    text: str, programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pin_images.main(tmp_path) == 1
    assert "install one of docker, skopeo, crane" in capsys.readouterr().err
    install(programs, "crane", text)
    assert pin_images.main(tmp_path) == 1
    assert "crane shows no digest of " in capsys.readouterr().err
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("postgres:17", "docker.io/library/postgres:17"),
        ("versity/versitygw:v1", "docker.io/versity/versitygw:v1"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("localhost:5000/a", "localhost:5000/a"),
    ],
)
def test_images_without_a_registry_are_those_of_docker(image: str, name: str) -> None:
    assert pin_images.full_name(image) == name
