"""The software bill of materials lists what is locked, as the command of `make sbom` writes it."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.deploy.compose import ROOT


def test_bill_lists_every_locked_package_with_its_digests(tmp_path: Path) -> None:
    line = re.search(r"^\t@\$\(BIN\)/(cyclonedx-py .+)$", (ROOT / "Makefile").read_text(), re.M)
    assert line
    path = tmp_path / "sbom.json"
    program, *words = line[1].replace("build/sbom.json", str(path)).split()
    subprocess.run([Path(sys.executable).with_name(program), *words], cwd=ROOT, check=True)
    bill = json.loads(path.read_text())
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    assert bill["bomFormat"] == "CycloneDX"
    locked = set(re.findall(r"^([a-z0-9][\w.-]*)(?:\[[^]]*\])?==(\S+)", lock, re.M))
    assert {(part["name"], part["version"]) for part in bill["components"]} == locked
    for part in bill["components"]:
        assert any("hashes" in reference for reference in part["externalReferences"])
