"""Kill a process that makes MLflow's tables, and report what remains.

`python mlflow_kills.py WAY PLACES URL`: importing MLflow takes seconds, so children are forked.
They make the tables by our `prepare` (WAY `ours`), by MLflow alone (`theirs`) or up to the release
before (`older`), and are killed at a place: `12` is before the twelfth statement; `remove`,
`replace` and `replaced` are around the renaming of a file. PLACES is a list in JSON; in the URL
`{}` is the place. Prints for each how the killed child ended, and a second one that did the same
unharmed.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db import utils
from sqlalchemy import event
from sqlalchemy.engine import Engine

from chainrule.stack import mlflow_database


def forked(act: Callable[[], None]) -> int:
    """How a child that acts ends: its exit code, negative the signal that ended it."""
    pid = os.fork()
    if not pid:
        try:
            act()
        except BaseException as error:
            print(repr(error)[:500], file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill(*_: object) -> None:
    """End this process as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)


def armed(place: str) -> None:
    """Have this process killed at a place."""
    if place.isdigit():
        left = int(place)

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if not left:
                kill()

        event.listen(Engine, "before_cursor_execute", count)
        return
    replace, unlink = Path.replace, Path.unlink

    def replaced(path: Path, target: Path) -> None:
        replace(path, target)
        kill()

    def removed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        if path.suffix == ".sqlite":
            kill()

    if place == "remove":
        setattr(Path, "unlink", removed)  # noqa: B010
    setattr(Path, "replace", {"replace": kill, "replaced": replaced}.get(place, replace))  # noqa: B010


def theirs(url: str) -> None:
    """Make the tables as MLflow does."""
    utils._initialize_tables(utils.create_sqlalchemy_engine(url))


def older(url: str) -> None:
    """Make the tables that were there before the newest migration."""
    engine = utils.create_sqlalchemy_engine(url)
    utils.InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(url)
    scripts = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        before = scripts.get_revision("head").down_revision
        assert isinstance(before, str)
        command.upgrade(config, before)


def ours(url: str) -> None:
    """Make the tables as we do, and see that they are complete."""
    mlflow_database.prepare(url)
    assert mlflow_database._complete(utils.create_sqlalchemy_engine(url))


WAYS = {"ours": ours, "theirs": theirs, "older": older}


def attempted(way: Callable[[str], None], place: str, url: str) -> list[int]:
    """How a first child ended that was killed at a place, and a second one."""

    def first() -> None:
        armed(place)
        way(url)

    return [forked(first), forked(lambda: way(url))]


def main() -> None:
    """Try each place."""
    way, where, url = sys.argv[1:]
    found = {place: attempted(WAYS[way], place, url.format(place)) for place in json.loads(where)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
