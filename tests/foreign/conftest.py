"""The table of foreign programs, printed at the end of a run that had some, and kept in the artefacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.table import Row, as_text
from tests.support.noted import Noted

_rows = Noted("foreign")


@pytest.fixture(scope="session")
def rows(artefacts: Path) -> Iterator[Noted]:
    """What each program did (fields of `Row`); kept as foreign.json for `python -m tests.foreign.table`."""
    yield _rows
    (artefacts / "foreign.json").write_text(json.dumps(_rows, indent=1))


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    _rows.attach(item, call)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if rows := _rows.of_the_run(terminalreporter):
        terminalreporter.section("foreign programs")
        terminalreporter.write_line(as_text([Row(**row) for row in rows]))
