"""The walk through docs/models.md, command by command, against a real server."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from api.app import create_app
from core import datasets, jobs
from core.data.intake import parse
from core.db.session import transaction
from core.settings import Settings
from core.spec import JobSpec
from core.spec.job import DIGITS
from core.status import JobStatus
from core.training.loop import train
from migrations import runner
from tests.chainrule.cli.test_cli import run
from tests.house.snippets import ROOT, commands, snippets
from tests.workercases import until

WALK = next(one for one in snippets("sh") if one.page == "docs/models.md")


class Site:
    """A server that knows the digits; its database and store are at hand."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'database.sqlite'}"
        runner.upgrade(url)
        self.folder = folder
        app = create_app(Settings(database_url=url, data_dir=folder / "data"))
        self.context = app.state.context
        self.digits = parse(ROOT / "examples" / "digits.csv", "text/csv", folder / "digits.arrow")
        datasets.keep(self.context.store, self.digits)
        with transaction(self.context.engine) as session:
            self.version = datasets.register(session, "digits", self.digits)
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        until(lambda: self.server.started)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def trained(self, **changes: object) -> str:
        """A job that was trained here and ended as a worker ends it."""
        spec = JobSpec.model_validate({**DIGITS, **changes})
        with transaction(self.context.engine) as session:
            job_id = jobs.submit(session, spec, self.version, owner="local").id
        with transaction(self.context.engine) as session:
            claim = jobs.claim(session, job_id, node="n", worker="w", lease_seconds=60)
        assert claim is not None
        workdir = self.folder / job_id
        workdir.mkdir()
        *_, ended = train(spec, self.digits.path, workdir)
        path = workdir / ended.path
        key = f"models/{job_id}/1/model.safetensors"
        self.context.store.put_file(path, key)
        result = {
            "model_key": key,
            "model_digest": hashlib.sha256(path.read_bytes()).hexdigest(),
            "weights_digest": ended.weights_digest,
            "metrics": ended.metrics,
        }
        with transaction(self.context.engine) as session:
            jobs.finish(session, job_id, claim.attempt, JobStatus.FINISHED, result=result)
        return job_id

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        self.context.engine.dispose()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_the_walk_in_the_documentation(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (ROOT / "examples" / "digits.csv").read_text().splitlines()
    (site.folder / "rows.csv").write_text("\n".join(lines[:4]) + "\n")
    monkeypatch.chdir(site.folder)
    said: dict[str, str] = {}
    site.trained(epochs=1, seed=1)
    for words in commands(WALK.text):
        # A second job is trained before the second registration.
        if "--description" in words:
            site.trained(epochs=6)
        ended = run(*words[1:], CHAINRULE_URL=site.url, COLUMNS="200")
        assert ended.returncode == 0, (words, ended.stderr)
        said[" ".join(words[1:])] = ended.stdout
    outputs = list(said.values())
    assert "registered digits@1" in outputs[0]
    assert "all rows" in outputs[1]
    assert "label = 9" in outputs[1]
    assert "there is no other champion" in outputs[2]
    assert "promoted digits@2" in outputs[4]
    assert "champion" in outputs[5]
    assert len(outputs[6].splitlines()) == 3
    assert "digits@champion is digits@1" in outputs[7]
    assert (site.folder / "digits.onnx").stat().st_size > 1000


def test_a_worse_version_is_not_promoted(site: Site) -> None:
    site.trained(epochs=4)
    better = run("model", "register", "digits", "latest", CHAINRULE_URL=site.url)
    assert better.returncode == 0, better.stderr
    run("model", "alias", "digits", "1", CHAINRULE_URL=site.url)
    site.trained(epochs=1, optimizer={"kind": "sgd", "learning_rate": 1e-9})
    run("model", "register", "digits", "latest", CHAINRULE_URL=site.url)
    asked = ("model", "promote", "digits", "2", "--dataset", "digits@1", "--metric", "accuracy")
    ended = run(*asked, CHAINRULE_URL=site.url)
    assert ended.returncode == 1
    assert "not promoted" in ended.stdout
    listed = run("model", "list", "--json", CHAINRULE_URL=site.url).stdout
    assert '"champion": 1' in listed
