"""Broken worlds for the doctor, the hands that break them, and the confusion matrix at the end of the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.cloud.instances import BoundInstance
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.doctor.diagnose import diagnose
from ramrole_nb.doctor.findings import Diagnosis
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.run_on import child_environment
from tests.support.noted import Noted

OBJECT = "oss://sandbox-photos/testfolder/example.png"

#: (true cause, named cause, case, † where the evidence was recorded, not made here)
named = Noted("doctor")


def first_of(told: Diagnosis) -> str:
    """Return the cause a diagnosis names first, or how it ended without one."""
    if told.findings:
        return told.findings[0].cause
    return "healthy" if told.ok else "cannot tell"


class Broken:
    """A world with web-1 in order (role, policy, attached by another client), to be broken in one place."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.others = rr.connect(sandbox)  # whoever else works in the account
        self.role = self.others.roles.create("EcsRamRole")
        self.role.grant("AliyunOSSReadOnlyAccess")
        self.others.instances["web-1"].attach(self.role)
        self.cloud: Cloud = rr.connect(sandbox)

    @property
    def vm(self) -> BoundInstance:
        return self.cloud.instances["web-1"]

    def bucket(self, name: str = "sandbox-photos") -> Any:
        """An oss2.Bucket of the administrator."""
        return self.others.buckets[name].client()

    def only(self, *statements: dict[str, Any]) -> None:
        """Let the role hold one custom policy of these statements, and nothing else."""
        for policy in self.role.policies():
            self.role.revoke(policy.name)
        self.role.grant({"Version": "1", "Statement": list(statements)})

    def look(self, instance: Any = "web-1", target: str | None = OBJECT, **how: Any) -> Diagnosis:
        return diagnose(instance, target, **{"cloud": self.cloud, **how})


@pytest.fixture
def broken(world: Sandbox) -> Iterator[Broken]:
    forget_every_role()
    yield Broken(world)
    forget_every_role()


_CHILD = """
import json, os, sys
given = json.loads(input())
os.environ.update(given["env"])
import ramrole_nb as rr
from ramrole_nb.doctor.diagnose import diagnose
cloud = rr.connect("live", changes="no", state=given["state"])
told = diagnose(*given["args"], cloud=cloud, **given["how"])
print(json.dumps(told.to_dict()))
"""


def live_child(
    sandbox: Sandbox | None,
    instance: str,
    folder: Path,
    *args: Any,
    env: dict[str, str] | None = None,
    before: str = "",
    **how: Any,
) -> dict[str, Any]:
    """Diagnose in a child process whose session is live, on an instance (its namespace) or in an empty namespace."""
    given = {"args": args, "how": how, "env": env or {}, "state": str(folder / "live")}
    program = [sys.executable, "-c", before + _CHILD]
    if sandbox is not None:
        where = ["-m", "ramrole_nb", "--state", str(sandbox.state), "on", instance, "--namespace", "--"]
        command = [sys.executable, *where, *program]
    else:
        command = ["unshare", "-rnm", *program]
    clean = child_environment("", os.environ)
    done = subprocess.run(
        command,
        input=json.dumps(given) + "\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def keys_of(sandbox: Sandbox, user: int = 0) -> dict[str, str]:
    """Return the variables that hold a sandbox user's key."""
    row = sandbox.admin.status()["users"][user]
    return {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": str.__str__(row["access_key_id"]),
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": str.__str__(row["access_key_secret"]),
    }


def matrix(named: Sequence[Sequence[str]]) -> str:
    """Return the confusion matrix as text: a row per true cause, what was named, and how many cases."""
    causes = sorted({true for true, *_ in named})
    width = max(map(len, causes), default=0)
    lines = [f"{'true cause'.ljust(width)}  cases  named"]
    for true in causes:
        rows = [row for row in named if row[0] == true]
        counts: dict[str, int] = {}
        for _, told, _, mark in rows:
            counts[told + mark] = counts.get(told + mark, 0) + 1
        told = ", ".join(f"{name} × {count}" for name, count in sorted(counts.items()))
        lines.append(f"{true.ljust(width)}  {len(rows):>5}  {told}")
    right = sum(true == told for true, told, *_ in named)
    return "\n".join([*lines, f"on the diagonal: {right} of {len(named)}; †: judged on recorded evidence"])


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    named.attach(item, call)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if rows := named.of_the_run(terminalreporter):
        terminalreporter.section("the doctor: true cause and named cause")
        terminalreporter.write_line(matrix(rows))
