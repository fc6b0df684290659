"""`ramrole lab` as a user sees it: the first notebook open, run by the menu, in both themes, narrow and wide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.conftest import Lab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# What a script of the page says in the console and is not ours: JupyterLab asks for these without needing them.
_NOT_OURS = ("favicon", "404", "Failed to load resource")


def open_lab(browser: Browser, lab: Lab, width: int, trouble: list[str]) -> Page:
    context = browser.new_context(viewport={"width": width, "height": 1000})
    page = context.new_page()
    page.on("pageerror", lambda error: trouble.append(f"page error: {error}"))

    def said(message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        if kind == "error" and not any(word in text for word in _NOT_OURS):
            trouble.append(f"console: {text}")

    page.on("console", said)
    page.on("request", lambda request: outside(request.url, trouble))
    page.goto(lab.url)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_selector(
        ".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=60_000, state="attached"
    )
    return page


def outside(url: str, trouble: list[str]) -> None:
    """Note a request that leaves the machine."""
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        trouble.append(f"request: {url}")


def choose_theme(page: Page, name: str) -> None:
    dark = "false" if "Dark" in name else "true"
    if page.get_attribute("body", "data-jp-theme-light") != dark:
        page.locator(".lm-MenuBar-item", has_text="Settings").click()
        page.locator(".lm-Menu-item", has_text="Theme").first.click()
        page.locator(".lm-Menu-item", has_text=name).first.click()
    page.wait_for_selector(f"body[data-jp-theme-light='{dark}']", state="attached")


def run_all(page: Page) -> None:
    page.locator(
        ".jp-Notebook .jp-Cell"
    ).first.click()  # the notebook has the focus, and follows what it runs
    page.locator(".lm-MenuBar-item", has_text="Run").click()
    page.locator(".lm-Menu-item", has_text="Run All Cells").first.click()
    page.wait_for_function(
        "() => document.querySelector('.jp-WindowedPanel-outer').innerText.includes('delete role EcsRamRole')",
        timeout=90_000,
    )


def photograph(page: Page, folder: Path, name: str) -> None:
    outer = ".jp-WindowedPanel-outer"
    height = page.evaluate(f"() => document.querySelector('{outer}').scrollHeight")
    for number, top in enumerate(range(0, height, 850)):
        page.evaluate(f"() => document.querySelector('{outer}').scrollTo(0, {top})")
        page.wait_for_timeout(250)
        page.screenshot(path=folder / f"{name}-{number}.png")


@pytest.mark.parametrize("width", [1400, 700])
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_the_first_notebook_runs_by_the_menu(
    browser: Browser, lab: Lab, theme: str, width: int, artefacts: Path
) -> None:
    trouble: list[str] = []
    page = open_lab(browser, lab, width, trouble)
    try:
        choose_theme(page, theme)
        run_all(page)
        picture = page.locator("img[alt='example.png']")
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.naturalWidth") == 960
        assert picture.evaluate("image => image.getBoundingClientRect().right <= window.innerWidth")
        photograph(page, artefacts, f"lab-{theme.rsplit(maxsplit=1)[-1].lower()}-{width}")
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1_000)
    finally:
        page.context.close()
    assert trouble == []
    saved = json.loads((lab.folder / "00_start_here.ipynb").read_text("utf-8"))
    (artefacts / f"saved-{width}.ipynb").write_text(json.dumps(saved), "utf-8")
    outputs = [o for c in saved["cells"] for o in c.get("outputs", [])]
    assert outputs, "the notebook was saved with what it showed"
    assert [o for o in outputs if o["output_type"] == "error"] == []


def test_nobody_is_asked_about_news(browser: Browser, lab: Lab) -> None:
    trouble: list[str] = []
    page = open_lab(browser, lab, 1400, trouble)
    page.wait_for_timeout(3_000)
    told = page.locator(".Toastify, .jp-Notification, [class*=toast]").all_inner_texts()
    page.context.close()
    assert not any("news" in text.lower() for text in told)
    assert trouble == []
