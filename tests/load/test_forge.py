"""No forged request is accepted. RAMROLE_FORGE_COUNT=100000 in the environment makes it the full number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.load.forge import forge
from tests.load.served import Served

COUNT = int(os.environ.get("RAMROLE_FORGE_COUNT", "3000"))


@pytest.mark.slow
@pytest.mark.timeout(120 + COUNT / 50)
def test_no_forged_request_is_accepted(tmp_path: Path) -> None:
    with Served(tmp_path / "state") as served:
        report = forge(served, COUNT)
    print(report)  # noqa: T201 - shown where the test fails, or with -s
    assert report.accepted == []
    assert report.good_refused == []
    assert report.good > COUNT / 10
    assert report.unread == 0
    assert report.total >= COUNT
    assert len(report.forged) > 60
