"""A stack that cannot start says why."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from chainrule.stack import StackError
from chainrule.stack.logs import Logs
from chainrule.stack.options import Options
from chainrule.stack.stack import Stack

for attempt in range(4):
    options = Options(
        data_dir=Path(sys.argv[1]), port=0, database_url="sqlite:////proc/none/chainrule.sqlite",
        broker_url="redis://127.0.0.1:1", mlflow_url="http://127.0.0.1:1",
    )
    try:
        with Stack(options, Logs()):
            print("started")
    except StackError as error:
        print(str(error).splitlines()[0])
"""


def test_a_migration_that_fails_stops_the_start(tmp_path: Path) -> None:
    # Several times: the supervisor used to collect the exit code before it was read.
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=240,
    )
    lines = output.stdout.splitlines()
    reasons = [line for line in lines if line.startswith("the database cannot be used: ")]
    assert len(reasons) == 4, output.stdout + output.stderr
    assert "started" not in lines
