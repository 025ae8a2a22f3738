"""`make compose-test`: build the image, bring docker-compose.yml up with podman, train a job.

Needs Linux, root, and Debian's `podman catatonit netavark aardvark-dns debootstrap runc iptables`.
Base images that cannot be pulled are stood in for (see stand_ins/README.md). Everything lands in
build/compose-test and stays there, so that a second run is quick; `--clean` removes it.
"""

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.deploy import compose

ROOT = compose.ROOT
WORK = ROOT / "build" / "compose-test"
STAND_INS = ROOT / "tests" / "deploy" / "stand_ins"
PROGRAMS = ("podman", "catatonit", "debootstrap", "runc", "iptables")
PROJECT = "chainrule-compose-test"
PORTS = {"CHAINRULE_PUBLISH": "127.0.0.1:18000", "MLFLOW_PUBLISH": "127.0.0.1:15000"}
BUILD = ("podman", "build", "--isolation=chroot", "--network=host", "--pull=never")
IN_BASE = "python3,python3-venv,ca-certificates,postgresql,redis-server,redis-tools,wget"
STANDING_IN = {
    "python": "docker.io/library/python:3.12-slim",
    "postgres": "docker.io/library/postgres:17",
    "redis": "docker.io/library/redis:7.4",
    "store": "docker.io/versity/versitygw:v1.8.0",
}
# runc and few files a container: what podman needs where there is no systemd and no cgroup v2.
ENGINE = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=2048:2048"]
[engine]
runtime = "runc"
"""
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{0}/graph"
runroot = "{0}/run"
"""


class Podman:
    """podman and podman-compose with a storage of their own."""

    def __init__(self, variables: dict[str, str]) -> None:
        WORK.mkdir(parents=True, exist_ok=True)
        (WORK / "containers.conf").write_text(ENGINE)
        (WORK / "storage.conf").write_text(STORAGE.format(WORK))
        (WORK / "env").write_text("".join(f"{key}={value}\n" for key, value in variables.items()))
        self.log = (WORK / "log").open("w")
        self.environment = {
            **os.environ,
            "CONTAINERS_CONF": str(WORK / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(WORK / "storage.conf"),
        }

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command; what it prints, also to the log. Raises CalledProcessError."""
        print("$", *words, file=self.log, flush=True)
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            check=False,
        )
        print(done.stdout, file=self.log, flush=True)
        if check:
            done.check_returncode()
        return done.stdout.strip()

    def compose(self, *words: str, check: bool = True) -> str:
        """Run podman-compose on the project's file."""
        options = ("--env-file", str(WORK / "env"), "--project-name", PROJECT)
        return self.run(str(WORK / "venv/bin/podman-compose"), *options, *words, check=check)

    def healthy(self, name: str) -> bool:
        """Run a container's health check now: without systemd nobody does it every few seconds."""
        words = ("podman", "healthcheck", "run", container(name))
        quiet = subprocess.DEVNULL
        ran = subprocess.run(words, env=self.environment, stdout=quiet, stderr=quiet, check=False)
        return ran.returncode == 0

    def state(self, name: str, what: str) -> str:
        """One field of a container's state."""
        return self.run("podman", "inspect", container(name), "--format", f"{{{{.State.{what}}}}}")


def container(name: str) -> str:
    """The name podman-compose gives the container of a service."""
    return f"{PROJECT}_{name}_1"


def say(text: str) -> None:
    """Tell the person what is being waited for."""
    print(f"compose-test: {text}", flush=True)


def prepare(podman: Podman) -> None:
    """The driver, the base images, and the image of the Dockerfile."""
    if not (WORK / "venv/bin/podman-compose").exists():
        say("installing podman-compose")
        podman.run(sys.executable, "-m", "venv", str(WORK / "venv"))
        lock = str(ROOT / "requirements" / "compose-test.lock")
        pip = (str(WORK / "venv/bin/python"), "-m", "pip", "install", "--quiet")
        podman.run(*pip, "--require-hashes", "--no-deps", "-r", lock)
    if not podman.run("podman", "images", "--quiet", "localhost/base:bookworm"):
        say("making a Debian with debootstrap (a minute or two)")
        tree = WORK / "base"
        shutil.rmtree(tree, ignore_errors=True)
        words = ("debootstrap", "--variant=minbase", f"--include={IN_BASE}", "bookworm", str(tree))
        podman.run(*words)
        podman.run("tar", "-C", str(tree), "-cf", f"{tree}.tar", ".")
        podman.run("podman", "import", f"{tree}.tar", "localhost/base:bookworm")
        shutil.rmtree(tree)
        Path(f"{tree}.tar").unlink()
    context = WORK / "context"
    shutil.copytree(STAND_INS, context, dirs_exist_ok=True)
    shutil.copy(ROOT / "requirements" / "compose-test.lock", context)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", context)
    for name, tag in STANDING_IN.items():
        say(f"building the stand-in for {tag}")
        podman.run(*BUILD, "-f", str(context / f"{name}.Containerfile"), "-t", tag, str(context))
    say("building chainrule:local from the Dockerfile (some minutes the first time)")
    podman.run(*BUILD, "--target", "chainrule", "-t", "chainrule:local", ".")


def bring_up(podman: Podman) -> None:
    """All services without a profile, each when those it needs are ready, as the file says.

    podman-compose starts them; the conditions are watched here, because podman before 4.6 does not.
    """
    waiting = {
        name: service
        for name, service in compose.services(compose.filled_in()).items()
        if "profiles" not in service.document
    }
    started: set[str] = set()
    give_up_at = time.monotonic() + 600
    while waiting:
        assert time.monotonic() < give_up_at, f"never ready for {', '.join(waiting)}"
        for name, service in list(waiting.items()):
            if set(service.needs) <= started and all(
                ready(podman, other, condition) for other, condition in service.needs.items()
            ):
                say(f"starting {name}")
                podman.compose("up", "--detach", "--no-deps", "--no-build", name)
                started.add(name)
                del waiting[name]
        time.sleep(1)


def ready(podman: Podman, name: str, condition: str) -> bool:
    """Whether a service is as others need it. Raises AssertionError if it failed."""
    if condition == "service_healthy":
        return podman.healthy(name)
    if podman.state(name, "Status") != "exited":
        return False
    code = podman.state(name, "ExitCode")
    assert code == "0", f"{name} ended with {code}"
    return True


def train(variables: dict[str, str]) -> dict[str, object]:
    """One job through the published ports."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.scenario"],
        cwd=ROOT,
        env={
            **os.environ,
            "API_URL": f"http://{PORTS['CHAINRULE_PUBLISH']}",
            "MLFLOW_URL": f"http://{PORTS['MLFLOW_PUBLISH']}",
            "API_TOKEN": variables["CHAINRULE_API_TOKEN"],
        },
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(done.stdout))


def verify(podman: Podman, summary: dict[str, object]) -> None:
    """The job, the mirror, the health checks and the user are as they should be."""
    assert summary["run_status"] == "FINISHED"
    assert summary["without_token"] == 401
    right = summary["right"]
    assert isinstance(right, float)
    assert right > 0.9
    for name in ("api", "mlflow", "scheduler", "worker-cpu"):
        assert podman.healthy(name), f"{name} is not healthy"
        assert podman.run("podman", "exec", container(name), "id", "-u") == "10001"


def main() -> None:
    """Build, bring up, train, take down; the log is in build/compose-test/log."""
    parser = argparse.ArgumentParser(prog="make compose-test")
    parser.add_argument("--clean", action="store_true", help="remove images and work files")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    arguments = parser.parse_args()
    if sys.platform != "linux" or os.geteuid() != 0:
        sys.exit("compose-test: needs root on Linux")
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        sys.exit(
            f"compose-test: {', '.join(missing)} missing; apt-get install podman catatonit "
            "netavark aardvark-dns debootstrap runc iptables"
        )
    variables = {name: secrets.token_hex(16) for name in compose.filled_in()} | PORTS
    podman = Podman(variables)
    if arguments.clean:
        podman.run("podman", "system", "reset", "--force")
        shutil.rmtree(WORK)
        return
    prepare(podman)
    podman.compose("down", "--volumes", check=False)
    try:
        bring_up(podman)
        say("training one job through it")
        summary = train(variables)
        verify(podman, summary)
        say(f"the job finished; {summary['right']:.0%} of 200 rows right; its run is in MLflow")
    except Exception:
        podman.compose("logs", check=False)
        say(f"failed; see {WORK / 'log'}")
        raise
    finally:
        if not arguments.keep:
            podman.compose("down", "--volumes", check=False)


if __name__ == "__main__":
    main()
