"""`ramrole lab` as a user sees it: the first notebook open, run by the menu, in both themes, narrow and wide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser.driver import open_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

FIRST = "00_start_here.ipynb"


@pytest.mark.parametrize("width", [1400, 700])
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_first_notebook_runs_by_the_menu(
    browser: Browser, lab: Lab, theme: str, width: int, artefacts: Path
) -> None:
    opened = open_notebook(browser, lab, FIRST, width=width)
    page = opened.page
    try:
        opened.theme(theme)
        opened.run_all()
        cells = json.loads((lab.folder / FIRST).read_text("utf-8"))["cells"]
        code = [number for number, cell in enumerate(cells) if cell["cell_type"] == "code"]
        opened.wait_for(code[-1])
        fetched = next(n for n in code if ".download(" in "".join(cells[n]["source"]))
        picture = opened.cell(fetched).locator("img[alt='example.png']")
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.naturalWidth") == 960
        assert picture.evaluate("image => image.getBoundingClientRect().right <= window.innerWidth")
        opened.cell(code[-1]).get_by_text("delete role EcsRamRole").first.wait_for(timeout=10_000)
        opened.photograph(artefacts, f"lab-{theme.lower()}-{width}")
        opened.save()
    except BaseException:
        page.screenshot(path=artefacts / f"failed-{width}.png")
        raise
    finally:
        opened.close()
    assert opened.trouble == []
    saved = json.loads((lab.folder / FIRST).read_text("utf-8"))
    (artefacts / f"saved-{width}.ipynb").write_text(json.dumps(saved), "utf-8")
    outputs = [o for c in saved["cells"] for o in c.get("outputs", [])]
    assert outputs, "the notebook was saved with what it showed"
    assert [o for o in outputs if o["output_type"] == "error"] == []


def test_nobody_is_asked_about_news(browser: Browser, lab: Lab) -> None:
    opened = open_notebook(browser, lab, FIRST)
    opened.page.wait_for_timeout(3_000)
    told = opened.page.locator(".Toastify, .jp-Notification, [class*=toast]").all_inner_texts()
    opened.close()
    assert not any("news" in text.lower() for text in told)
    assert opened.trouble == []
