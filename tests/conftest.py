"""Fixtures and guards for every test.

What a test can ask for: `sandbox` (one for the run), `world` (the same, put back to its start), `cloud`
(connected to that world), `artefacts` (a folder for screenshots and saved notebooks; `tests/run` searches it for
secrets), `chromium` (the browser's path).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.guard import guard
from tests.support.hostile import MARK, hostile_environment

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox

LIVE = os.environ.get("RAMROLE_LIVE") == "1" and bool(os.environ.get("RAMROLE_PROFILE"))

# Nothing listens there (the port is reserved for tcpmux, long extinct): whoever uses the proxy fails.
_CLOSED_PROXY = "http://127.0.0.1:1"


def pytest_configure(config: pytest.Config) -> None:
    """Make the environment hostile where `tests/run` has not done so, and close the network."""
    if LIVE:
        return
    if MARK not in os.environ:
        home = tempfile.TemporaryDirectory(prefix="rr-home-", ignore_cleanup_errors=True)
        config.add_cleanup(home.cleanup)
        hostile = hostile_environment(os.environ, home=Path(home.name), proxy=_CLOSED_PROXY)
        os.environ.clear()
        os.environ.update(hostile)
    guard.install()


def pytest_report_header() -> str:
    if LIVE:
        return "network: OPEN, live tests run against a real account"
    closed = os.environ.get("RAMROLE_NETNS") == "1"
    return (
        "network: namespace with loopback only, and socket guard" if closed else "network: socket guard only"
    )


@cache
def find_chromium() -> str | None:
    """Return the path of the system's Chromium, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@cache
def namespaces_work() -> bool:
    """Tell whether the kernel lets this user make user and network namespaces."""
    unshare = shutil.which("unshare")
    return (
        bool(unshare)
        and subprocess.run([str(unshare), "-rn", "true"], capture_output=True, check=False).returncode == 0
    )


def _missing(item: pytest.Item) -> str:
    if item.get_closest_marker("live") and not LIVE:
        return "a live test: set RAMROLE_LIVE=1 and RAMROLE_PROFILE to run it against a real account"
    if os.environ.get("RAMROLE_REQUIRE_TOOLS") == "1":
        return ""  # CI has everything: a missing tool is a failure there
    if item.get_closest_marker("browser") and not find_chromium():
        return "no Chromium on this machine"
    if item.get_closest_marker("namespace") and not namespaces_work():
        return "this kernel or container forbids user namespaces, or util-linux's unshare is missing"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what cannot run here."""
    if reason := _missing(item):
        pytest.skip(reason)
    if LIVE and not item.get_closest_marker("live"):
        pytest.skip("RAMROLE_LIVE=1 opens the network, so only live tests run")


@pytest.fixture(autouse=True)
def _loopback_only() -> Iterator[None]:
    """Fail a test that wanted to leave the machine, also where the code under test swallowed the refusal."""
    guard.refused.clear()
    yield
    if guard.refused:
        pytest.fail("left the machine, or tried to: " + "; ".join(dict.fromkeys(guard.refused)))


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Put the environment and the working directory back after each test."""
    before, here = dict(os.environ), Path.cwd()
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)
    os.chdir(here)


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what a person may want to look at after the run."""
    given = os.environ.get("RAMROLE_ARTEFACTS")
    path = Path(given) if given else tmp_path_factory.mktemp("artefacts")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium."""
    path = find_chromium()
    assert path, "no Chromium on this machine"
    return path


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running sandbox, in a thread, shared by the run. Most tests want `world`."""
    from ramrole_nb.sandbox import Sandbox

    with Sandbox(state=tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def world(sandbox: Sandbox) -> Sandbox:
    """The sandbox with its world as at the start."""
    sandbox.reset()
    return sandbox


@pytest.fixture
def cloud(world: Sandbox) -> Cloud:
    """A `Cloud` connected to the world as its administrator."""
    import ramrole_nb

    return ramrole_nb.connect(world)
