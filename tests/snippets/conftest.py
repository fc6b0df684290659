"""Programs as a user would start them: over https, with the sandbox as proxy for everything and its CA trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.run_on import child_environment

settings.register_profile("snippets", deadline=None, database=None)
settings.load_profile("snippets")

# Through a proxy the OpenAPI client trusts what `certifi` names and nothing else. So the program gets a certifi that names
# what SSL_CERT_FILE does, as systems that manage their authorities ship it: the script and the SDKs stay as they are.
_CERTIFI = """\
import os


def where():
    return os.environ["SSL_CERT_FILE"]


def contents():
    with open(where(), encoding="ascii") as file:
        return file.read()
"""


class Programs:
    """Runs programs against a world, as a user or as on an instance."""

    def __init__(self, world: Sandbox, folder: Path) -> None:
        self.world = world
        self.folder = folder
        (folder / "trust" / "certifi").mkdir(parents=True)
        (folder / "trust" / "certifi" / "__init__.py").write_text(_CERTIFI, "ascii")
        self.line: dict[str, Any] = world.start_line

    def environment(self, instance: str = "") -> dict[str, str]:
        """Return the environment on an instance, or a user's (the administrator's) on any machine."""
        proxy = self.world.proxy_url(instance) if instance else self.world.url
        found = child_environment(proxy, os.environ, ca_file=self.line["ca_file"])
        found["PYTHONPATH"] = str(self.folder / "trust")
        if not instance:
            user = self.line["users"][0]
            found["ALIBABA_CLOUD_ACCESS_KEY_ID"] = user["access_key_id"]
            found["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] = user["access_key_secret"]
        return found

    def python(self, source: str, instance: str = "") -> subprocess.CompletedProcess[str]:
        """Run a Python script as it is."""
        script = self.folder / "script.py"
        script.write_text(source, "utf-8")
        return self._run([sys.executable, str(script)], instance)

    def shell(self, source: str, instance: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script."""
        script = self.folder / "script.sh"
        script.write_text(source, "utf-8")
        return self._run(["sh", str(script)], instance)

    def _run(self, command: list[str], instance: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.environment(instance),
            cwd=self.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )


@pytest.fixture
def world(world: Sandbox) -> Iterator[Sandbox]:
    """The sandbox as at its start, nothing in the ledger beside it, no credential of another test held."""
    (world.state / "ledger.jsonl").unlink(missing_ok=True)
    forget_every_role()
    yield world
    forget_every_role()


@pytest.fixture
def programs(world: Sandbox, tmp_path: Path) -> Programs:
    return Programs(world, tmp_path)
