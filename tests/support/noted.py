"""Rows that tests note for a table at the end of the run. They travel with the test's report, also from a worker process."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["Noted"]


class Noted(list[Any]):
    """What the tests of one folder noted. Its rows are of plain types: they are sent from process to process."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._told = 0

    def attach(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Put what the test has noted into its report. For `pytest_runtest_makereport`."""
        if call.when == "call":
            item.user_properties += [(self.name, row) for row in self[self._told :]]
            self._told = len(self)

    def of_the_run(self, reporter: Any) -> list[Any]:
        """Return the rows of all tests of the run. For `pytest_terminal_summary`."""
        reports = [report for found in reporter.stats.values() for report in found]
        return [
            row
            for report in reports
            if getattr(report, "when", "") == "call"
            for name, row in report.user_properties
            if name == self.name
        ]
