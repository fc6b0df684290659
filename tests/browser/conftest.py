"""A real JupyterLab, started as a user starts it, and a real browser."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ramrole_nb.sandbox import process

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# No look-ups of its own: the browser speaks to the Lab and to nothing else.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Lab:
    """A running `ramrole lab`."""

    url: str
    folder: Path
    state: Path
    log: list[str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`ramrole lab --no-browser`, with its address taken from what it prints."""
    state, folder = tmp_path_factory.mktemp("lab-state"), tmp_path_factory.mktemp("lab") / "notebooks"
    command = [sys.executable, "-m", "ramrole_nb", "--state", str(state), "lab", "--no-browser"]
    server = subprocess.Popen(
        [*command, "--port", str(free_port()), "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ.copy(),
    )
    assert server.stdout is not None
    log: list[str] = []
    url = ""
    for line in server.stdout:
        log.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S*token=\w+", line):
            url = found[0]
            break
    assert url, "".join(log)
    drain = threading.Thread(target=lambda: log.extend(server.stdout or []), daemon=True)
    drain.start()
    try:
        yield Lab(url, folder, state, log)
    finally:
        server.terminate()
        server.wait(30)
        drain.join(10)
        server.stdout.close()
        process.stop(state)


# Not for the session: while it is open, this thread has a running event loop, which other tests must not find.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """The system's Chromium."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # what is waited for comes, only later on a busy machine
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()
