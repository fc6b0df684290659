"""Each notebook by clicking only, and by typing only (running all cells): both leave the same world."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from playwright.sync_api import expect

import ramrole_nb
from tests.browser.driver import NotebookPage, open_notebook, press
from tests.browser.looking import contrast
from tests.support.files import ROOT
from tests.support.snapshot import snapshot

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

# What our panels, cards and tables put into an output.
_OURS = ".rr-panel *, .jp-RenderedHTMLCommon *"
_TOO_WIDE = """(areas, within) => areas.flatMap(area => [...area.querySelectorAll(within)])
    .filter(node => node.checkVisibility() && node.getBoundingClientRect().right > innerWidth + 1)
    .filter(node => { for (let at = node; at; at = at.parentElement)
        if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(at).overflowX)
            && at.getBoundingClientRect().right <= innerWidth + 1 && at.closest('.jp-OutputArea-output')) return false;
        return true; })
    .map(node => node.outerHTML.slice(0, 120))"""

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("0*.ipynb"))


def buttons(*names: str) -> Callable[[Locator], None]:
    """Press these buttons one after the other; none may fail."""

    def act(area: Locator) -> None:
        for name in names:
            said = press(area, name)
            assert "Failed" not in said, f"{name}: {area.inner_text()[-600:]}"

    return act


def look(area: Locator) -> None:
    """Only look."""
    expect(area).to_contain_text("SANDBOX", use_inner_text=True)


def exercise(area: Locator) -> None:
    assert "Failed" not in press(area, "Check")
    expect(area).to_contain_text("not attempted", use_inner_text=True, ignore_case=True)
    press(area, "Hint")


def own_policy(area: Locator) -> None:
    press(area, "Create role")
    area.get_by_role("button", name="Show a policy of your own, for one bucket").click()
    area.get_by_role("textbox", name="Prefix").fill("testfolder/")
    area.page.wait_for_timeout(500)  # a click overtakes letters that ipywidgets still holds back
    buttons("Write the document", "Grant document")(area)


def every_way_to_a_credential(area: Locator) -> None:
    for folded in ("the three methods, side by side", "the mixed-triple trap"):
        area.get_by_role("button", name=f"Show {folded}").click()
        area.get_by_role("button", name=f"Hide {folded}").wait_for()
    buttons("Get credential", "Run all three methods", "Expire now", "Who am I there?", "Show the trap")(area)


def refused_in_normal_mode(area: Locator) -> None:
    area.get_by_role("combobox", name="Metadata mode").select_option("normal")
    assert "Failed" in press(area, "Get credential")
    expect(area).to_contain_text("security hardening mode only", use_inner_text=True)


def download(area: Locator) -> None:
    area.get_by_role("radio", name="example.png").check()
    area.get_by_role("checkbox", name="Overwrite an existing file").check()
    expect(area).to_contain_text("will be saved as", use_inner_text=True)
    buttons("Download")(area)


def clean_up(area: Locator) -> None:
    name = area.get_by_role("button").filter(has_text="Clean up").first
    name.click()
    area.get_by_role("button", name="Go ahead").click()
    area.get_by_role("status").filter(has_text="Done").first.wait_for(timeout=60_000)


@dataclass(frozen=True)
class Clicks:
    """What to click in the panel cell whose source contains `cell`; the first that fits counts, each is used once."""

    cell: str
    act: Callable[[Locator], None]


PATHS: dict[str, list[Clicks]] = {
    "00_start_here": [
        Clicks(
            "StartPanel",
            buttons(
                "1. Create the role",
                "2. Let it read OSS",
                "3. Attach it to web-1",
                "4. Fetch its credential",
                "5. Download the picture",
                "6. Clean up",
            ),
        )
    ],
    "01_create_a_role": [
        Clicks('RolePanel(cloud, name="EcsRamRole"', buttons("Create role", "Grant policy"))
    ],
    "02_attach": [Clicks('role="EcsRamRole", instances=["web-1"]', buttons("Attach role"))],
    "03_credentials": [
        Clicks(
            'instance="web-1"',
            every_way_to_a_credential,
        ),
        Clicks('instance="hardened-1"', refused_in_normal_mode),
    ],
    "04_download": [Clicks("ObjectsPanel", download)],
    "05_switch_identity": [
        Clicks('RolePanel(cloud, name="OneFolder"', own_policy),
        Clicks('role="OneFolder"', buttons("Replace role")),
        Clicks('role="EcsRamRole"', buttons("Replace role")),
    ],
    "06_troubleshoot": [
        Clicks("exmaple.png", buttons("Diagnose")),
        Clicks("GymPanel", buttons("Start", "Check", "Hint", "Show solution", "Do it for me", "Stop")),
    ],
    "07_clean_up": [Clicks("CleanUpPanel(cloud)", look), Clicks("CleanUpPanel(cloud)", clean_up)],
}


def cells_of(name: str) -> list[tuple[str, str, list[str]]]:
    book = nbformat.read(str(ROOT / "notebooks" / f"{name}.ipynb"), as_version=4)  # type: ignore[no-untyped-call]
    return [(cell.cell_type, cell.source, list(cell.metadata.get("tags", []))) for cell in book.cells]


def fresh(lab: Lab, name: str) -> None:
    """Put the shipped notebook and nothing else of an earlier run into the Lab's folder."""
    (lab.folder / f"{name}.ipynb").write_bytes((ROOT / "notebooks" / f"{name}.ipynb").read_bytes())
    for path in lab.folder.glob("*.png"):
        path.unlink()


def by_clicking(opened: NotebookPage, name: str) -> None:
    left = list(PATHS[name])
    for number, (kind, source, tags) in enumerate(cells_of(name)):
        if kind != "code" or "typed" in tags:
            continue
        cell = opened.run(number)
        area = cell.locator(".jp-Cell-outputArea")
        if "panel" not in tags:
            continue
        area.get_by_role("group").first.wait_for(timeout=60_000)
        if "ExercisePanel" in source:
            exercise(area)
        elif (step := next((step for step in left if step.cell in source), None)) is not None:
            left.remove(step)
            step.act(area)
    assert left == [], "every click has its panel"


def by_typing(opened: NotebookPage, name: str) -> None:
    last = max(n for n, (kind, _, _) in enumerate(cells_of(name)) if kind == "code")
    opened.run_all()
    opened.wait_for(last)


def in_each_look(opened: NotebookPage, name: str, folder: Path) -> None:
    """Photograph the whole notebook in both themes, wide and narrow; nothing of ours is too wide or too pale."""
    for theme in ("Light", "Dark"):
        opened.theme(theme)
        for width in (1400, 700):
            opened.page.set_viewport_size({"width": width, "height": 2000})
            opened.page.wait_for_timeout(600)
            seen = 0
            for number in opened.pages():
                opened.page.screenshot(path=folder / f"notebook-{name}-{theme.lower()}-{width}-{number}.png")
                outputs = opened.page.locator(".jp-Notebook .jp-OutputArea-output")
                found = contrast(outputs, _OURS)
                assert found["poor"] == [], (name, theme, width)
                seen += found["count"]
                assert outputs.evaluate_all(_TOO_WIDE, _OURS) == [], (name, theme, width)
            assert seen > 20, "something was looked at"


def errors_shown(lab: Lab, name: str) -> list[Any]:
    saved = json.loads((lab.folder / f"{name}.ipynb").read_text("utf-8"))
    outputs = [output for cell in saved["cells"] for output in cell.get("outputs", [])]
    assert outputs
    return [output for output in outputs if output["output_type"] == "error"]


def test_every_notebook_has_its_clicks() -> None:
    assert sorted(PATHS) == NOTEBOOKS


@pytest.mark.parametrize("name", PATHS)
def test_clicking_and_typing_leave_the_same_world(
    browser: Browser, lab: Lab, artefacts: Path, name: str
) -> None:
    os.environ["RAMROLE_STATE"] = str(lab.state)
    left = {}
    for way, go in (("clicked", by_clicking), ("typed", by_typing)):
        cloud = ramrole_nb.connect().reset("default")
        fresh(lab, name)
        opened = open_notebook(browser, lab, f"{name}.ipynb", height=1400)
        opened.page.keyboard.press("Control+b")
        try:
            go(opened, name)
            opened.save()
            if way == "typed":
                in_each_look(opened, name, artefacts)
        except BaseException:
            opened.page.screenshot(path=artefacts / f"failed-{name}-{way}.png")
            raise
        finally:
            opened.close()
        assert opened.trouble == []
        assert errors_shown(lab, name) == []
        (artefacts / f"{name}-{way}.ipynb").write_bytes((lab.folder / f"{name}.ipynb").read_bytes())
        left[way] = snapshot(cloud)
        left[way]["files"] = sorted(path.name for path in lab.folder.glob("*.png"))
    assert left["clicked"] == left["typed"]
    if name != "00_start_here" and not name.startswith("07"):
        assert left["clicked"]["roles"], "something was left to compare"
