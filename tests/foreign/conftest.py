"""The table of foreign programs, printed at the end of a run that had some, and kept in the artefacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.table import Row, as_text

_rows: list[Row] = []


@pytest.fixture(scope="session")
def rows(artefacts: Path) -> Iterator[list[Row]]:
    """What each program did; kept as foreign.json for `python -m tests.foreign.table`."""
    yield _rows
    (artefacts / "foreign.json").write_text(json.dumps([row.__dict__ for row in _rows], indent=1))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _rows:
        terminalreporter.section("foreign programs")
        terminalreporter.write_line(as_text(_rows))
