"""Programs nobody here wrote do the page's four jobs on a hardened-only instance, with their unmodified libraries.

`tests/foreign/prepare` installs them before the network is closed. Each program prints one JSON line a job.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.sandbox import Sandbox
from tests.foreign.table import JOBS, Row
from tests.support.noted import Noted

pytestmark = pytest.mark.foreign

INSTANCE, ROLE, REGION, BUCKET = "hardened-1", "ForeignRole", "cn-beijing", "sandbox-photos"
HERE = Path(__file__).resolve().parent
KEY, REFUSED_KEY = "testfolder/example.png", "private/salaries.csv"


@dataclass(frozen=True)
class Program:
    """How a foreign program is run and what it can do."""

    command: tuple[str, ...]  # {} is its folder below RAMROLE_FOREIGN, {here} this one
    proxy: bool  # takes the proxy variables; otherwise a namespace only
    jobs: tuple[str, ...] = JOBS
    refused: tuple[tuple[str, object], ...] = (
        ("status", 403),
        ("code", "AccessDenied"),
        ("ec", "0003-00000001"),
    )
    remark: str = ""


NO_STS = ("credentials", "download", "refused")
PROGRAMS = {
    "official": Program(
        (sys.executable, "{here}/python/official.py"),
        proxy=True,
        remark="the packages this project stands on; ACS3-HMAC-SHA256 and OSS V4; through a proxy the OpenAPI client needs "
        "`Config(ca=…)`",
    ),
    "curl": Program(
        ("bash", "{here}/curl/client.sh"), proxy=True, remark="signs with openssl: RPC V1 and OSS V1"
    ),
    "oss-v2": Program(
        ("{}/venv/bin/python", "{here}/python/oss_v2.py"),
        proxy=True,
        jobs=NO_STS,
        remark="OSS V4; has no STS",
    ),
    "core": Program(
        ("{}/venv/bin/python", "{here}/python/core.py"),
        proxy=True,
        jobs=("credentials", "identity", "refused"),
        refused=(("status", 403), ("code", "Forbidden.RAM")),
        remark="RPC V1. Its own role signer sends no token (403 on this instance), so the credentials are "
        "alibabacloud-credentials'. Has no OSS: refused is DescribeRegions",
    ),
    "ossfs": Program(
        ("{}/venv/bin/python", "{here}/python/ossfs_client.py"),
        proxy=True,
        jobs=NO_STS,
        refused=(("status", 403), ("code", "AccessDenied"), ("python", "PermissionError")),
        remark="the fsspec one; OSS V1; has no STS; lists the folder before it reads",
    ),
    "node": Program(
        ("node", "{here}/node/client.js"), proxy=False, remark="its clients ignore proxy variables"
    ),
    "go": Program(("{}/client",), proxy=True, remark="the OSS client takes proxy variables when told to"),
    "java": Program(
        ("java", "-cp", "{}/classes:{}/lib/*", "Client"),
        proxy=False,
        refused=(("code", "AccessDenied"), ("ec", "0003-00000001")),
        remark="its clients ignore proxy variables; OSSException keeps no status",
    ),
}
RUNS = [
    pytest.param(
        name, mode, id=f"{name}-{mode}", marks=[pytest.mark.namespace] if mode == "namespace" else []
    )
    for name, program in PROGRAMS.items()
    for mode in (["proxy"] if program.proxy else []) + ["namespace"]
]


def installed(name: str) -> Path:
    """Return a program's folder; skip, saying why it is not there."""
    if name == "official":
        return HERE  # its packages are this project's own
    given = os.environ.get("RAMROLE_FOREIGN", "")
    folder = Path(given) / name
    if given and (folder / "done").exists():
        return folder
    reason = folder / "reason"
    why = (
        "run tests/foreign/prepare first, and set RAMROLE_FOREIGN as it says"
        if not given or not reason.exists()
        else reason.read_text().strip()
    )
    # Never a failure, also where every tool is required: a registry that is down says nothing about this project.
    pytest.skip(f"{name}: {why}")


def on_the_instance(
    sandbox: Sandbox, mode: str, command: list[str], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a program with `ramrole on`."""
    options = ["--namespace"] if mode == "namespace" else []
    ramrole = [
        sys.executable,
        "-m",
        "ramrole_nb",
        "--state",
        str(sandbox.state),
        "on",
        INSTANCE,
        *options,
        "--",
    ]
    return subprocess.run(
        [*ramrole, *command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(("name", "mode"), RUNS)
def test_four_jobs(name: str, mode: str, world: Sandbox, cloud: Cloud, tmp_path: Path, rows: Noted) -> None:
    program, folder = PROGRAMS[name], installed(name)
    role = cloud.roles.create(ROLE)
    role.grant(ramrole_nb.policy.read_objects(BUCKET, prefix="testfolder/"))
    vm = cloud.instances[INSTANCE]
    vm.attach(role)
    before = world.journal()[-1]["seq"]
    out = tmp_path / "picture.png"
    command = [part.replace("{}", str(folder)).replace("{here}", str(HERE)) for part in program.command]
    start = time.monotonic()
    done = on_the_instance(
        world,
        mode,
        [*command, REGION, BUCKET, KEY, REFUSED_KEY, str(out), ROLE],
        NODE_PATH=str(folder / "node_modules"),
    )
    seconds = round(time.monotonic() - start, 1)
    entries = world.journal(before)
    seen = "\n".join(f"{e['status']} {e['method']} {e['url']} {e.get('message', '')}" for e in entries)
    assert done.returncode == 0, f"{done.stderr}\n{seen}"
    told: dict[str, dict[str, Any]] = {}
    for line in done.stdout.splitlines():
        fact = json.loads(line)
        told[fact.pop("job")] = fact
    assert set(told) == {"versions", *program.jobs}, done.stdout + done.stderr

    assert told["credentials"]["prefix"] == "STS."
    # What asks without a token is refused there: the plain curl, and the role signer of the core SDK.
    assert told["credentials"].get("without_token", 403) == 403
    arn = rf"acs:ram::\d+:assumed-role/{ROLE}/vm-ram-{vm.instance_id}"
    if "identity" in program.jobs:
        assert re.fullmatch(arn, told["identity"]["arn"])
    if "download" in program.jobs:
        stated = next(
            o
            for b in world.start_line["buckets"]
            if b["name"] == BUCKET
            for o in b["objects"]
            if o["key"] == KEY
        )
        assert told["download"]["sha256"] == stated["sha256"]
        assert out.stat().st_size == stated["size"]
    assert {name: told["refused"].get(name) for name, _ in program.refused} == dict(program.refused)

    # The sandbox saw the same: that instance, its role, tokens, https, and nothing it had to apologise for.
    assert {e["instance_id"] for e in entries} == {vm.instance_id}
    assert [e for e in entries if e["status"] >= 500] == []
    metadata = [e for e in entries if e["service"] == "IMDS" and e["status"] == 200]
    assert {e.get("mode") for e in metadata if e["method"] == "GET"} == {"security hardening"}
    services = [e for e in entries if e["service"] != "IMDS"]
    assert {e["url"].partition(":")[0] for e in services} == {"https"}
    assert all(re.fullmatch(arn, e["principal"]) for e in services)
    assert [e["status"] for e in services] == [*[200] * (len(services) - 1), 403]

    jobs = dict.fromkeys(program.jobs, "✓")
    jobs["refused"] = " ".join(
        str(told["refused"][part]) for part in ("status", "code", "ec") if part in told["refused"]
    )
    versions = {key.removeprefix("github.com/"): str(value) for key, value in told["versions"].items()}
    rows.append(asdict(Row(name, mode, seconds, versions, jobs, program.remark)))
