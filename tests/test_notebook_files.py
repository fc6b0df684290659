"""The notebooks in the repository are clean, and each agrees with its text form."""

import json
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

from tests.support.files import ROOT, tracked

NOTEBOOKS = ROOT / "notebooks"
TRACKED = [path for path in tracked() if path.suffix == ".ipynb"]

# What a cell's metadata may hold; anything else is an editor's private business and only makes noise in diffs.
CELL_METADATA = {"tags"}
NOTEBOOK_METADATA = {"kernelspec", "language_info", "jupytext"}


def problems(notebook: dict[str, Any]) -> list[str]:
    """Return what a notebook holds that a file in the repository must not."""
    found = []
    for number, cell in enumerate(notebook["cells"]):
        found += [f"cell {number} has {key}" for key in ("outputs", "execution_count") if cell.get(key)]
        found += [f"cell {number} has metadata {key!r}" for key in set(cell["metadata"]) - CELL_METADATA]
        found += [f"cell {number} has attachments"] if cell.get("attachments") else []
    metadata = notebook["metadata"]
    found += [f"it has metadata {key!r}" for key in set(metadata) - NOTEBOOK_METADATA]
    if metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("its kernel is not called python3")
    if "version" in metadata.get("language_info", {}):
        found.append("it names the Python version of whoever saved it")
    return found


def cells(notebook: Any) -> list[tuple[str, str, list[str]]]:
    return [(c.cell_type, c.source.rstrip(), sorted(c.metadata.get("tags", []))) for c in notebook.cells]


def text_form(path: Path) -> Path:
    return path.parent / "py" / f"{path.stem}.py"


def test_the_first_notebook_is_there() -> None:
    if NOTEBOOKS.exists():
        assert NOTEBOOKS / "00_start_here.ipynb" in TRACKED


def test_no_notebook_holds_output_or_state() -> None:
    assert {
        path.name: found for path in TRACKED if (found := problems(json.loads(path.read_text("utf-8"))))
    } == {}


def test_every_notebook_is_valid() -> None:
    for path in TRACKED:
        nbformat.validate(json.loads(path.read_text("utf-8")))


def test_every_notebook_agrees_with_its_text_form() -> None:
    differ = [
        p.name
        for p in TRACKED
        if not text_form(p).exists() or cells(jupytext.read(text_form(p))) != cells(jupytext.read(p))
    ]
    assert differ == [], "run `make notebooks`"


def test_a_text_form_has_its_notebook() -> None:
    alone = [p.name for p in NOTEBOOKS.glob("py/*.py") if not (NOTEBOOKS / f"{p.stem}.ipynb").exists()]
    assert alone == []


CLEAN = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {"tags": ["x"]},
            "source": "1",
            "outputs": [],
            "execution_count": None,
        }
    ],
}


def test_a_clean_notebook_passes() -> None:
    assert problems(CLEAN) == []


@pytest.mark.parametrize(
    ("cell", "metadata"),
    [
        ({"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}, {}),
        ({"execution_count": 1}, {}),
        ({"metadata": {"collapsed": True}}, {}),
        ({}, {"widgets": {}}),
        ({}, {"kernelspec": {"name": "my-venv"}}),
        ({}, {"language_info": {"name": "python", "version": "3.11.7"}}),
    ],
)
def test_the_check_can_fail(cell: dict[str, Any], metadata: dict[str, Any]) -> None:
    dirty = json.loads(json.dumps(CLEAN))
    dirty["cells"][0] |= cell
    dirty["metadata"] |= metadata
    assert len(problems(dirty)) == 1
