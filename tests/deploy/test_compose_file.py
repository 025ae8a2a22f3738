"""docker-compose.yml, Dockerfile and .env.example agree with each other and with the code."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest

from chainrule.contract.tokens import weakness
from tests.deploy import compose

ROOT = compose.ROOT
SERVICES = compose.services(compose.filled_in())
DOCUMENT = compose.read(compose.filled_in())
OURS = [name for name, service in SERVICES.items() if service.ours]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_schema_accepts_the_file() -> None:
    words = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run(
        [sys.executable, *words, str(ROOT / "docker-compose.yml")], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_all_the_parts_are_there() -> None:
    assert set(SERVICES) == {
        *("postgres", "redis", "store", "bucket", "migrate", "mlflow"),
        *("api", "scheduler", "worker-cpu", "worker-gpu"),
    }


@pytest.mark.parametrize("name", compose.variables_of_example())
def test_no_secret_has_a_default(name: str) -> None:
    variables = compose.filled_in() | {name: ""}
    with pytest.raises(compose.MissingVariableError, match=name):
        compose.services(variables)


def test_example_names_every_variable_and_no_value() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = {match["name"] for match in compose.VARIABLE.finditer(text) if match["name"]}
    example = (ROOT / ".env.example").read_text()
    mentioned = set(re.findall(r"^(?:# )?([A-Z_]+)=", example, flags=re.MULTILINE))
    assert used == mentioned
    assert not any(compose.variables_of_example().values())


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda one: one.name)
def test_references_lead_somewhere(service: compose.Service) -> None:
    for network in service.document["networks"]:
        assert network in DOCUMENT["networks"]
    for mount in service.document.get("volumes", []):
        source = mount.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in DOCUMENT["volumes"]
    for other, condition in service.needs.items():
        if condition == "service_healthy":
            assert SERVICES[other].document["healthcheck"]["test"]
        else:
            assert condition == "service_completed_successfully"
            assert SERVICES[other].one_shot


def test_every_volume_and_network_is_used() -> None:
    used = {
        mount.split(":")[0]
        for service in SERVICES.values()
        for mount in service.document.get("volumes", [])
    }
    assert set(DOCUMENT["volumes"]) <= used
    networks = {name for one in SERVICES.values() for name in one.document["networks"]}
    assert networks == set(DOCUMENT["networks"])


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda one: one.name)
def test_addresses_name_services_that_listen(service: compose.Service) -> None:
    listening = {"postgres": "5432", "redis": "6379", "store": "7070", "mlflow": "5000"}
    for value in service.environment.values():
        for host, port in re.findall(r"(?:@|//)([a-z][a-z-]*):(\d+)", value):
            assert listening[host] == port


def test_nobody_waits_in_a_circle_nor_for_mlflow() -> None:
    def waited_for(name: str, path: tuple[str, ...] = ()) -> None:
        assert name not in path
        for other in SERVICES[name].needs:
            assert other != "mlflow"
            waited_for(other, (*path, name))

    for name in SERVICES:
        waited_for(name)


@pytest.mark.parametrize("service", SERVICES.values(), ids=lambda one: one.name)
def test_services_restart_and_say_how_they_are(service: compose.Service) -> None:
    assert service.document["restart"] in {"unless-stopped", "on-failure:5"}
    if not service.one_shot:
        assert service.health_command


@pytest.mark.parametrize("name", OURS)
def test_our_processes_have_no_privileges(name: str) -> None:
    document = SERVICES[name].document
    user = re.search(r"^USER (\S+)$", DOCKERFILE, flags=re.MULTILINE)
    assert user
    assert document["user"] == user[1]
    assert not user[1].startswith(("0", "root"))
    assert document["cap_drop"] == ["ALL"]
    assert document["read_only"] is True
    assert document["build"]["target"] in re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.M)


@pytest.mark.parametrize("name", OURS)
def test_commands_start_what_exists(name: str) -> None:
    program, option, target, *_rest = SERVICES[name].command
    if option == "-m":
        assert program == "python"
        found = find_spec(target)
        assert found
        assert not found.submodule_search_locations or find_spec(f"{target}.__main__")


def test_databases_and_broker_are_not_published() -> None:
    published = {name for name, one in SERVICES.items() if "ports" in one.document}
    assert published == {"api", "mlflow"}
    for name in published:
        assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].document["ports"])
        assert "outside" in SERVICES[name].document["networks"]
    assert DOCUMENT["networks"]["inside"]["internal"] is True


def test_mlflow_is_guarded_and_has_its_own_secrets_only() -> None:
    mlflow = SERVICES["mlflow"]
    assert "chainrule.stack.mlflow_app:app" in mlflow.command
    token = SERVICES["api"].environment["CHAINRULE_API_TOKEN"]
    assert mlflow.environment["CHAINRULE_MLFLOW_TOKEN"] == token
    origins = mlflow.environment["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    assert origins == ["http://127.0.0.1:5000", "https://127.0.0.1:5000"]
    stores = {mlflow.environment[f"_MLFLOW_SERVER_{kind}_STORE"] for kind in ("FILE", "REGISTRY")}
    password = SERVICES["postgres"].environment["MLFLOW_POSTGRES_PASSWORD"]
    assert stores == {f"postgresql+psycopg://mlflow:{password}@postgres:5432/mlflow"}
    assert password != SERVICES["postgres"].environment["POSTGRES_PASSWORD"]
    ours = {name for name in mlflow.environment if name.startswith("CHAINRULE_")}
    assert ours == {"CHAINRULE_MLFLOW_TOKEN"}
    for name in ("scheduler", "worker-cpu", "worker-gpu"):
        assert SERVICES[name].environment["CHAINRULE_MLFLOW_TOKEN"] == token


def test_mlflow_serves_the_host_of_a_proxy() -> None:
    variables = {**compose.filled_in(), "MLFLOW_HOST": "mlflow.example"}
    environment = compose.services(variables)["mlflow"].environment
    assert "mlflow.example" in environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    origins = environment["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    assert origins == ["http://127.0.0.1:5000", "https://mlflow.example"]


def test_tokens_of_a_filled_in_example_are_strong() -> None:
    assert weakness(SERVICES["api"].environment["CHAINRULE_API_TOKEN"]) is None


def test_gpu_worker_waits_for_its_profile() -> None:
    assert {name for name, one in SERVICES.items() if "profiles" in one.document} == {"worker-gpu"}
    assert SERVICES["worker-gpu"].environment["CHAINRULE_QUEUES"] == "gpu"


def test_image_is_built_from_hash_checked_locks_only() -> None:
    words = re.split(r"&&|\n", DOCKERFILE.replace("\\\n", " "))
    installs = [line for line in words if "pip install" in line]
    ours: list[str] = []
    from_index: list[str] = []
    for line in installs:
        (ours if line.rstrip().endswith(" .") else from_index).append(line)
    assert len(from_index) == 3
    assert len(ours) == 1
    assert "--no-deps" in ours[0]
    for line in from_index:
        assert "--require-hashes" in line
        assert "--hash=sha256:" in (ROOT / shlex.split(line)[-1]).read_text()


def test_image_gets_the_files_it_copies() -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE):
        *sources, _target = line.split()
        for source in sources:
            assert (ROOT / source).exists()
            assert source in allowed or "requirements/*.lock" in allowed
