"""Clicking and typing leave the same world: each notebook is run without its typed cells, and the buttons are pressed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from ramrole_nb.sandbox import process
from tests.conftest import find_chromium
from tests.notebooks.support import LESSONS, errors, execute, run, streams, tags, world_of

# In the kernel: press a button of a panel by its text, as a click does, and wait until it is done.
_HELPERS = """
def _walk(widget):  # what a person sees: not what is folded away
    if getattr(widget.layout, "display", "") == "none":
        return
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _walk(child)


def _button(panel, text):
    import ipywidgets
    buttons = [w for w in _walk(panel.box) if isinstance(w, ipywidgets.Button)]
    found = [w for w in buttons if w.description.partition(" (")[0] == text]
    assert len(found) == 1, (text, [w.description for w in buttons])
    return found[0]


def press(panel, text, then=""):
    panel.wait()
    assert not _button(panel, text).disabled, text
    _button(panel, text).click()
    if then:
        import time
        until = time.monotonic() + 20
        while panel._ask.layout.display == "none" and time.monotonic() < until:
            time.sleep(0.02)
        _button(panel, then).click()
    panel.wait()


def fails(panel, text, name):
    press(panel, text)
    assert type(panel.model.error).__name__ == name, repr(panel.model.error)


def works(panel, text, then=""):
    press(panel, text, then)
    assert panel.model.error is None, panel.text()
"""

# Notebook -> what is done with the n-th panel (from 0), `p`. Panels left out only show.
CLICKS: dict[str, dict[int, str]] = {
    "00": {},
    "01": {
        0: "works(p, 'Create role')\np.policy.value = 'AliyunOSSReadOnlyAccess'\nworks(p, 'Grant policy')",
        1: "assert 'not ECS' in p.html() or 'not trust ECS' in p.html()",
    },
    "02": {
        0: "works(p, 'Attach role')",
        2: "press(p, 'Attach role')\nassert '0 of 1 done' in p.model.status, p.text()",
    },
    "03": {
        0: "works(p, 'Get credential')\nworks(p, 'Run all three methods')\nworks(p, 'Expire now')\n"
        "works(p, 'Who am I there?')\nworks(p, 'Show the trap')",
        1: "p.mode.value = 'normal'\nfails(p, 'Get credential', 'HardenedOnly')",
    },
    "04": {0: "works(p, 'List')\np.key.value = 'testfolder/example.png'\nworks(p, 'Download')"},
    "05": {
        0: "works(p, 'Create role')\n"
        "press(p, 'Show a policy of your own, for one bucket')\n"
        "p.prefix.value = 'testfolder/'\n"
        "press(p, 'Write the document')\n"
        "works(p, 'Grant document')",
        1: "works(p, 'Replace role')",
        2: "works(p, 'Replace role')",
    },
    "06": {
        0: "works(p, 'Diagnose')",
        2: "works(p, 'Diagnose')\nassert p.model.result.ok",
        3: "works(p, 'Start')\nworks(p, 'Check')\nworks(p, 'Hint')\nworks(p, 'Ask the doctor')\n"
        "works(p, 'Show solution')\nworks(p, 'Do it for me')\nassert p.model.result.verdict\nworks(p, 'Stop')",
    },
    "07": {1: "fails(p, 'Revoke policy', 'PreflightRefused')", -2: "works(p, 'Clean up', 'Go ahead')"},
}


_ERRORS = {"Conflict", "HardenedOnly", "PreflightRefused"}


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    """Two state folders, one for each way."""
    both = [tmp_path / name for name in ("clicked", "typed")]
    for folder in both:
        folder.mkdir()
    yield both
    for folder in both:
        process.stop(folder)


def clicked(path: Path) -> Any:
    """Return a notebook without its typed cells, with cells that press the buttons after the panels."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if "typed" not in tags(cell)]
    panels = [cell for cell in cells if "panel" in tags(cell)]
    todo = {id(panels[at]): source for at, source in CLICKS[path.stem[:2]].items()}
    notebook.cells = [nbformat.v4.new_code_cell(_HELPERS)]  # type: ignore[no-untyped-call]
    for cell in cells:
        notebook.cells.append(cell)
        if source := todo.get(id(cell)):
            notebook.cells.append(nbformat.v4.new_code_cell(f"p = _\n{source}"))  # type: ignore[no-untyped-call]
    return notebook


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    find_chromium() is not None, reason="tests/browser/test_paths.py does the same with real clicks"
)
@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_clicking_leaves_the_world_that_typing_does(
    path: Path, folders: list[Path], tmp_path: Path, artefacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = []
    for state in folders:
        monkeypatch.setenv("RAMROLE_STATE", str(state))
        kept = artefacts / f"{path.stem}-{state.name}.ipynb"
        click = state.name == "clicked"
        notebook = execute(clicked(path), tmp_path, kept) if click else run(path, tmp_path, kept)
        assert errors(notebook) == []
        assert streams(notebook) == []
        worlds.append(world_of(state))
    assert worlds[0] == worlds[1]


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_the_text_names_every_button_that_is_pressed(path: Path) -> None:
    prose = " ".join(
        re.sub(r"\s+", " ", cell.source)
        for cell in nbformat.read(path, as_version=4).cells  # type: ignore[no-untyped-call]
        if cell.cell_type == "markdown"
    )
    for source in CLICKS[path.stem[:2]].values():
        for label in re.findall(r", '([A-Z][a-z][^']+)'", source):
            assert f"**{label}**" in prose or label in _ERRORS, label
