"""The table of foreign programs: `python -m tests.foreign.table foreign.json` writes it into docs/foreign.md.

foreign.json is what the tests leave in the artefacts: RAMROLE_ARTEFACTS=/tmp/new make test ARGS=tests/foreign.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["JOBS", "Row", "as_markdown", "as_text"]

JOBS = ("credentials", "identity", "download", "refused")
_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "foreign.md"
_MARK = "<!-- table: python -m tests.foreign.table -->\n"


@dataclass
class Row:
    """What one program did in one mode."""

    client: str
    mode: str
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    remark: str = ""

    def cells(self) -> list[str]:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        jobs = [self.jobs.get(job, "–") for job in JOBS]
        return [self.client, versions, self.mode, *jobs, self.remark]


_HEAD = [
    "client",
    "versions",
    "mode",
    "credentials",
    "GetCallerIdentity",
    "download",
    "refused download",
    "remarks",
]


def as_markdown(rows: list[Row]) -> str:
    """Render the table for the document."""
    lines = [_HEAD, ["---"] * len(_HEAD), *(row.cells() for row in rows)]
    return "".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |\n" for line in lines)


def as_text(rows: list[Row]) -> str:
    """Render the table for a terminal, without the remarks."""
    lines = [_HEAD[:-1], *(row.cells()[:-1] for row in rows)]
    lines = [[line[0], *line[2:], line[1]] for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def main(arguments: list[str]) -> int:
    """Write the table of a run into the document."""
    rows = [Row(**row) for row in json.loads(Path(arguments[0]).read_text("utf-8"))]
    text = _DOCUMENT.read_text("utf-8")
    fresh = re.sub(f"{re.escape(_MARK)}(\\|.*\n)*", lambda _: _MARK + as_markdown(rows), text)
    _DOCUMENT.write_text(fresh, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
