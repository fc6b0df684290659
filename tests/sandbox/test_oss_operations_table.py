"""docs/oss.md names every operation with what it honours, and truth.py what each rests on."""

from __future__ import annotations

import re
from pathlib import Path

from ramrole_nb.sandbox.services.oss import registry, truth

TABLE = Path(__file__).parents[2] / "docs" / "oss.md"


def rows() -> dict[str, tuple[str, str]]:
    """Operation -> (honoured, refused)."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "operation":
            found[cells[0]] = (cells[1], cells[2])
    return found


def test_the_table_names_every_operation_and_no_other() -> None:
    assert list(rows()) == sorted(o.name for o in registry.oss_operations())


def test_the_table_names_what_is_declared() -> None:
    """Each parameter and x-oss header that the code declares, and none in the first column that it does not."""
    for operation in registry.oss_operations():
        honoured, refused = rows()[operation.name]
        named = set(re.findall(r"`([^`]+)`", honoured))
        declared = operation.params | operation.headers
        assert declared <= {n.lower() for n in named}, operation.name
        own = {n for n in named if n.startswith("x-oss-")}
        assert own <= declared, (operation.name, own - declared)
        assert refused


def test_what_each_operation_rests_on() -> None:
    """The rows the lead joins into coverage.py, to its rules."""
    names = {o.name for o in registry.oss_operations()}
    for service, operation, behaviour, basis, source in truth.ROWS:
        assert service == "Oss"
        assert operation in names
        assert basis in ("documentation", "client", "ours")
        assert behaviour
        assert source.startswith("http") is (basis != "ours"), (operation, behaviour)
    assert len(set(truth.ROWS)) == len(truth.ROWS)
    assert {row[1] for row in truth.ROWS} & truth.NEW == truth.NEW
    for name in truth.NEW:
        assert {row[3] for row in truth.ROWS if row[1] == name} & {"documentation", "client"}, name
