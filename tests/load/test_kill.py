"""`kill -9` loses nothing that was acknowledged. RAMROLE_KILL_CLIENTS=64 RAMROLE_KILL_SECONDS=60 is the full size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.load.kill import run

CLIENTS = int(os.environ.get("RAMROLE_KILL_CLIENTS", "8"))
SECONDS = float(os.environ.get("RAMROLE_KILL_SECONDS", "8"))


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(tmp_path: Path) -> None:
    report = run(tmp_path, CLIENTS, SECONDS)
    print(report)  # noqa: T201 - shown where the test fails, or with -s
    assert report.bad == []
    assert len(report.restart_seconds) == 1
    assert report.answers > 100
    assert report.objects > CLIENTS
    assert report.sessions > 0
