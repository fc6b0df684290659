"""A notebook in a real front end, driven as a person does it: look at a cell, run it, click in what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from tests.browser.conftest import Lab

__all__ = ["Bench", "NotebookPage", "open_bench", "open_notebook", "press"]

# What a front end says in the console and is not ours: it asks for these without needing them.
_NOT_OURS = ("favicon", "404", "Failed to load resource")
_OUTER = ".jp-WindowedPanel-outer"


def outside(url: str, trouble: list[str]) -> None:
    """Note a request that leaves the machine."""
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        trouble.append(f"request: {url}")


def choose(page: Page, *path: str) -> None:
    """Choose from JupyterLab's menu bar."""
    page.locator(".lm-MenuBar-item", has_text=path[0]).first.click()
    for item in path[1:]:
        page.locator(".lm-Menu-item", has_text=item).first.click()


def choose_theme(page: Page, name: str) -> None:
    """Choose "JupyterLab Light" or "JupyterLab Dark"."""
    light = "false" if "Dark" in name else "true"
    if page.get_attribute("body", "data-jp-theme-light") != light:
        choose(page, "Settings", "Theme", name)
    page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")


def open_notebook(
    browser: Browser, lab: Lab, name: str, *, width: int = 1400, height: int = 1000
) -> NotebookPage:
    """Open a notebook of the Lab's folder in JupyterLab, and wait for its kernel."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    opened = NotebookPage(page)
    opened.listen()
    base, _, token = lab.url.partition("/lab")
    page.goto(f"{base}/lab/tree/{name}?reset&{token.partition('?')[2]}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    # Before the kernel answers, JupyterLab drops what is asked of it.
    page.locator(".jp-StatusBar-TextItem", has_text="| Idle").first.wait_for(
        timeout=120_000, state="attached"
    )
    return opened


@dataclass
class NotebookPage:
    """An open notebook. `trouble` collects page errors, console errors and requests that leave the machine."""

    page: Page
    trouble: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Collect trouble from now on."""
        self.page.on("pageerror", lambda error: self.trouble.append(f"page error: {error}"))
        self.page.on("console", self._said)
        self.page.on("request", lambda request: self._asked(request.url))

    def _said(self, message: Any) -> None:
        if message.type == "error" and not any(word in message.text for word in _NOT_OURS):
            self.trouble.append(f"console: {message.text}")

    def _asked(self, url: str) -> None:
        outside(url, self.trouble)

    def close(self) -> None:
        """Close the page."""
        self.page.context.close()

    # -- cells -----------------------------------------------------------------------------------------------

    def cell(self, number: int) -> Locator:
        """Return a cell by its place, scrolled into view: JupyterLab renders only what is in view."""
        found = self.page.locator(f'.jp-Notebook .jp-Cell[data-windowed-list-index="{number}"]')
        for _ in range(300):
            if found.count():
                found.first.scroll_into_view_if_needed()
                return found.first
            shown = self.page.evaluate(
                "() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(c => +c.dataset.windowedListIndex)"
            )
            step = 500 if not shown or number > max(shown) else -500
            self.page.evaluate(f"() => document.querySelector('{_OUTER}').scrollBy(0, {step})")
            self.page.wait_for_timeout(60)
        raise AssertionError(f"cell {number} is not to be found")

    def run(self, number: int, *, timeout: float = 60.0) -> Locator:
        """Run a cell with Shift+Enter and wait for its end; return it."""
        cell = self.cell(number)
        prompt = cell.locator(".jp-InputPrompt").first
        before = prompt.inner_text()
        prompt.click()
        self.page.keyboard.press("Shift+Enter")
        if "jp-CodeCell" in (cell.get_attribute("class") or ""):
            for _ in range(int(timeout / 0.05)):
                now = prompt.inner_text()
                if now != before and re.search(r"\d", now):
                    break
                self.page.wait_for_timeout(50)
            else:
                raise AssertionError(f"cell {number} did not end: {prompt.inner_text()!r}")
        return self.cell(number)

    def run_all(self) -> None:
        """Run every cell by the menu."""
        self.page.locator(".jp-Notebook .jp-Cell").first.click()
        self.menu("Run", "Run All Cells")

    def wait_for(self, number: int, *, timeout: float = 120.0) -> None:
        """Wait until a code cell has been run."""
        prompt = self.cell(number).locator(".jp-InputPrompt").first
        for _ in range(int(timeout / 0.1)):
            if re.search(r"\d", prompt.inner_text()):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"cell {number} did not run: {prompt.inner_text()!r}")

    def menu(self, *path: str) -> None:
        """Choose from the menu bar."""
        choose(self.page, *path)

    def save(self) -> None:
        """Save the notebook."""
        self.page.keyboard.press("Control+s")
        self.page.wait_for_timeout(800)

    # -- looking ---------------------------------------------------------------------------------------------

    def theme(self, name: str) -> None:
        """Choose "Light" or "Dark" by the menu."""
        choose_theme(self.page, f"JupyterLab {name}")

    def photograph(self, folder: Path, name: str, cells: Sequence[int] = ()) -> None:
        """Write screenshots: of the output of some cells, or (none named) of the whole notebook, page by page."""
        folder.mkdir(parents=True, exist_ok=True)
        for number in cells:
            area = self.cell(number).locator(".jp-Cell-outputArea")
            area.screenshot(path=folder / f"{name}-{number}.png")
        if not cells:
            for number in self.pages():
                self.page.screenshot(path=folder / f"{name}-{number}.png")

    def pages(self) -> Iterator[int]:
        """Go through the notebook from its top, one windowful after the other (JupyterLab renders only what is in view)."""
        top = number = 0
        while top < self.page.evaluate(f"() => document.querySelector('{_OUTER}').scrollHeight"):
            self.page.evaluate(f"() => document.querySelector('{_OUTER}').scrollTo(0, {top})")
            self.page.wait_for_timeout(250)
            yield number
            top += int(self.page.evaluate(f"() => document.querySelector('{_OUTER}').clientHeight"))
            number += 1


class Bench:
    """A notebook of the test's own: its first cell runs code of the test in the kernel, the others show something."""

    def __init__(self, opened: NotebookPage, sources: Sequence[str]) -> None:
        self.opened, self.page, self.sources = opened, opened.page, list(sources)
        self._count = 0

    def run(self, code: str) -> str:
        """Run code in the kernel; return what it printed."""
        self._count += 1
        cell = self.opened.cell(0)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(f"{code}\nprint('ran', {self._count})")
        self.page.keyboard.press("Control+Enter")
        output = cell.locator(".jp-OutputArea-output")
        output.filter(has_text=re.compile(rf"ran {self._count}\s*$")).first.wait_for(timeout=60_000)
        return output.first.inner_text().rsplit("ran", 1)[0].strip()

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the kernel (JSON)."""
        return json.loads(self.run(f"import json; print(json.dumps({expression}))"))

    def area(self, number: int) -> Locator:
        """Return the output area of the `number`-th source (from 0)."""
        return self.opened.cell(number + 1).locator(".jp-Cell-outputArea")


def open_bench(browser: Browser, lab: Lab, name: str, sources: Sequence[str], *, width: int = 1400) -> Bench:
    """Write a notebook of these cells into the Lab's folder, open it, run each, and return it."""
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in ("print('ran', 0)", *sources)]  # type: ignore[no-untyped-call]
    book = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, str(lab.folder / f"{name}.ipynb"))  # type: ignore[no-untyped-call]
    opened = open_notebook(browser, lab, f"{name}.ipynb", width=width, height=2600)
    opened.page.keyboard.press("Control+b")  # the file browser away: the panels get the room
    for number in range(len(sources) + 1):
        opened.run(number)
    return Bench(opened, sources)


_SETTLED = (
    """area => [...area.querySelectorAll('.rr-status-line')].every(line => line.dataset.kind !== 'working')"""
)


def press(area: Locator, name: str) -> str:
    """Click a panel's button and wait until the panel is done; return what its status lines say."""
    page = area.page
    button = area.get_by_role("button", name=name, exact=True).first
    button.scroll_into_view_if_needed()
    for _ in range(100):  # a reading may still be running
        if button.is_enabled():
            break
        page.wait_for_timeout(100)
    button.click()
    quiet = 0
    for _ in range(600):
        page.wait_for_timeout(100)
        quiet = quiet + 1 if area.evaluate(_SETTLED) else 0
        if quiet >= 3:
            break
    else:
        raise AssertionError(f"{name!r} does not end")
    return "\n".join(area.get_by_role("status").all_inner_texts())
