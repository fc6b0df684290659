"""What each notebook promises in its text, held without running it."""

from __future__ import annotations

import ast
import builtins
import re
import statistics
from pathlib import Path
from typing import Any

import nbformat
import pytest

import ramrole_nb as rr
from ramrole_nb.lessons.course import TITLES
from ramrole_nb.sandbox import Sandbox
from tests.notebooks.support import LESSONS, NOTEBOOKS, code_cells, tags

KNOWN_TAGS = {"setup", "panel", "typed", "raises-exception"}


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def prose(notebook: Any) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def of_each(paths: list[Path] = NOTEBOOKS) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda p: p.stem)


def test_all_are_there() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == list(TITLES)


@of_each()
def test_it_is_made_for_this_version(path: Path) -> None:
    first = code_cells(read(path))[0]
    assert tags(first) == ["setup"]
    assert first.source.startswith("import ramrole_nb as rr\n\ncloud = rr.connect()\n")
    lessons = re.findall(r'rr\.lesson\(cloud, "(\d\d)", made_for="([^"]*)"\)', first.source)
    assert lessons == [(path.stem[:2], rr.__version__)]
    if path in LESSONS:
        assert first.source.rstrip().endswith("lesson.prepare()")


@of_each()
def test_it_says_where_it_plays(path: Path) -> None:
    beginning = read(path).cells[0].source
    assert "**sandbox**" in beginning
    assert 'rr.connect("live")' in beginning


@of_each()
def test_tags_are_known_ones(path: Path) -> None:
    assert {tag for cell in read(path).cells for tag in tags(cell)} <= KNOWN_TAGS


@of_each()
def test_cells_are_small(path: Path) -> None:
    lengths = [len(cell.source.splitlines()) for cell in code_cells(read(path))]
    assert statistics.median(lengths) <= 3
    assert max(lengths) <= 8


@of_each(LESSONS)
def test_every_step_can_be_clicked_and_typed(path: Path) -> None:
    cells = code_cells(read(path))
    panels = [cell for cell in cells if "panel" in tags(cell)]
    typed = [cell for cell in cells if "typed" in tags(cell)]
    assert len(panels) >= 5
    assert len(typed) >= 5
    for cell in panels:
        assert cell.source.startswith("rr.widgets."), "a panel cell is one line that shows a panel"
        assert len(cell.source.splitlines()) == 1


def names(source: str, context: type[ast.expr_context]) -> set[str]:
    tree = ast.parse(source)
    found = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}
    if context is ast.Store:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found


@of_each()
def test_nothing_else_needs_what_a_typed_cell_defines(path: Path) -> None:
    """Else the notebook would fail for whoever clicks and leaves the typed cells out."""
    defined: set[str] = set()
    for cell in code_cells(read(path)):
        if "typed" not in tags(cell):
            defined |= names(cell.source, ast.Store)
            assert names(cell.source, ast.Load) - defined - set(dir(builtins)) == set(), cell.source


@of_each([path for path in LESSONS if path.stem[:2] != "06"])  # its exercises are the gym's cases
def test_every_exercise_has_its_four_cells(path: Path, world: Sandbox) -> None:
    cells = read(path).cells
    lesson = rr.lesson(rr.connect(world), path.stem[:2])
    assert lesson.exercises
    for name in (key.partition(".")[2] for key in lesson.exercises):
        (at,) = [
            i for i, cell in enumerate(cells) if cell.source == f"rr.widgets.ExercisePanel(lesson.{name})"
        ]
        task, panel, yours, check = cells[at - 1 : at + 3]
        assert task.cell_type == "markdown"
        assert f"### Exercise {name[1:]}" in task.source
        assert tags(panel) == ["panel"]
        assert yours.source.startswith("#")
        assert len(yours.source.splitlines()) == 1
        assert tags(yours) == []
        assert check.source == f"lesson.{name}.check()"
        assert tags(check) == ["typed"]


@of_each()
def test_it_ends_with_what_was_learned_and_three_questions(path: Path) -> None:
    end = prose(read(path)).partition("## What you learned")[2]
    assert re.findall(r"^(\d)\. ", end, re.M) == ["1", "2", "3"]
    assert len(re.findall(r"<details><summary>[^<]+</summary>[^<]+</details>", end)) == 3


@of_each()
def test_links_between_notebooks_lead_somewhere(path: Path) -> None:
    linked = re.findall(r"\]\(([^)#:]+\.(?:ipynb|py))\)", prose(read(path)))
    assert linked
    for name in linked:
        assert (path.parent / name).is_file(), name


@of_each()
def test_it_names_files_that_are_there(path: Path) -> None:
    for name in re.findall(r"`(\w+\.py)`", prose(read(path))):
        assert (path.parent / name).is_file(), name


@of_each()
def test_plain_text_and_no_decoration(path: Path) -> None:
    text = prose(read(path))
    assert not re.search(r"[\U0001F300-\U0001FAFF\u2600-\u27BF]", text), "no emoji"
    assert "ongratulations" not in text
    longest = max(len(s) for s in re.split(r"(?<=[.!?:])\s", re.sub(r"<[^>]+>", "", text)) if "|" not in s)
    assert longest < 330, "a sentence one has to read twice"
