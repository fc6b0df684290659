"""Which panels a cell has shown. Running the cell again closes them, so that re-runs pile up nothing."""

from __future__ import annotations

import sys
from typing import Any, Protocol

__all__ = ["Replaceable", "shown_here"]


class Replaceable(Protocol):
    """What gives way to what the cell makes anew."""

    def replaced(self) -> None: ...


# Cell -> the run that made its panels, and they.
_shown: dict[str, tuple[int, list[Replaceable]]] = {}


def shown_here(panel: Replaceable) -> None:
    """Note that the running cell made `panel`; close what an earlier run of the same cell made."""
    cell, run = _this_cell()
    if not cell:
        return
    before, panels = _shown.get(cell, (run, []))
    if before != run:
        _shown.pop(cell)
        for old in panels:
            old.replaced()
        panels = []
    panels.append(panel)
    _shown[cell] = (run, panels)


def _this_cell() -> tuple[str, int]:
    """Return the running cell's id (front ends that send none: its text) and the number of its run; ("", 0) outside."""
    if "IPython" not in sys.modules:
        return "", 0
    from IPython import get_ipython

    shell: Any = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "", 0
    told = kernel.get_parent("shell") or {}
    metadata = told.get("metadata") or {}
    cell = metadata.get("cellId") or (told.get("content") or {}).get("code", "")
    return str(cell), int(shell.execution_count)
