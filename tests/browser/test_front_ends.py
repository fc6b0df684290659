"""The panels outside JupyterLab: in Notebook 7, and in Voilà, where there are no cells to see."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from ramrole_nb.sandbox import process
from tests.browser.conftest import free_port
from tests.support.files import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PANEL = """import ramrole_nb as rr
cloud = rr.connect()
rr.widgets.RolePanel(cloud, name="EcsRamRole")"""

# Faults of these front ends themselves, seen with an empty notebook too: Notebook 7.6 throws one while it starts; Voilà
# loads every JupyterLab extension that is installed, and some want the Lab.
_THEIRS = ("reading 'schema'", "shared module is not a function", "Failed to load resource", "favicon")


@contextmanager
def served(command: Sequence[str], folder: Path, state: Path, address: str) -> Iterator[str]:
    """Run a server in `folder`, and yield the address it prints."""
    server = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={**os.environ, "RAMROLE_STATE": str(state)},
    )
    assert server.stdout is not None
    log: list[str] = []
    url = ""
    for line in server.stdout:
        log.append(line)
        if found := re.search(address, line):
            url = found[0]
            break
    drain = threading.Thread(target=lambda: log.extend(server.stdout or []), daemon=True)
    drain.start()
    try:
        assert url, "".join(log)
        yield url
    finally:
        server.terminate()
        server.wait(30)
        drain.join(10)
        server.stdout.close()
        process.stop(state)


@contextmanager
def opened(browser: Browser, width: int = 1200) -> Iterator[tuple[Page, list[str]]]:
    """A page that loads nothing from elsewhere, and the trouble it had."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    page, trouble = context.new_page(), list[str]()
    # Voilà's own template names a style sheet on a CDN; here it does without.
    page.route(re.compile(r"^https?://(?!127\.0\.0\.1|localhost)"), lambda route: route.abort())
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda said: trouble.append(said.text) if said.type == "error" else None)
    try:
        yield page, trouble
    finally:
        context.close()


def ours(trouble: list[str]) -> list[str]:
    return [line for line in trouble if not any(word in line for word in _THEIRS)]


def write(folder: Path, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, str(folder / "panel.ipynb"))  # type: ignore[no-untyped-call]


def create_the_role(page: Page) -> None:
    button = page.get_by_role("button", name="Create role")
    button.wait_for(timeout=60_000)
    button.click()
    page.get_by_role("status").filter(has_text="role EcsRamRole is there").wait_for(timeout=30_000)


def test_a_panel_works_in_notebook_7(browser: Browser, tmp_path: Path, artefacts: Path) -> None:
    write(tmp_path, PANEL)
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [
        "notebook",
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={free_port()}",
        *root,
    ]
    address = r"http://127\.0\.0\.1:\d+/\S*token=\w+"
    with (
        served(command, tmp_path, tmp_path / "state", address) as url,
        opened(browser) as (page, trouble),
    ):
        base, _, token = url.partition("/tree")
        page.goto(f"{base}/notebooks/panel.ipynb{token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_selector(
            ".jp-NotebookKernelStatus, [data-status='idle']", state="attached", timeout=60_000
        )
        prompt = page.locator(".jp-Cell .jp-InputPrompt").first
        for _ in range(20):  # before the kernel answers, what is asked of it is dropped
            prompt.click()
            page.keyboard.press("Shift+Enter")
            if page.get_by_role("button", name="Create role").count():
                break
            page.wait_for_timeout(1_000)
        create_the_role(page)
        page.screenshot(path=artefacts / "notebook-7.png")
        assert ours(trouble) == []


def test_voila_shows_the_first_notebook(browser: Browser, tmp_path: Path, artefacts: Path) -> None:
    first = ROOT / "notebooks" / "00_start_here.ipynb"
    (tmp_path / first.name).write_bytes(first.read_bytes())
    command = ["voila", first.name, "--no-browser", f"--port={free_port()}", "--Voila.ip=127.0.0.1"]
    with (
        served(command, tmp_path, tmp_path / "state", r"http://(?:127\.0\.0\.1|localhost):\d+/") as url,
        opened(browser) as (page, trouble),
    ):
        page.goto(url)
        picture = page.locator("img[alt='example.png']").first
        picture.wait_for(timeout=90_000)
        page.screenshot(path=artefacts / "voila.png", full_page=True)
        assert picture.evaluate("image => image.naturalWidth") == 960
        html = page.content()
        (artefacts / "voila.html").write_text(html, "utf-8")
        assert "SANDBOX" in html
        assert "model not found" not in html
        assert ours(trouble) == []


def test_voila_has_panels_that_work(browser: Browser, tmp_path: Path, artefacts: Path) -> None:
    write(tmp_path, PANEL)
    command = ["voila", "panel.ipynb", "--no-browser", f"--port={free_port()}", "--Voila.ip=127.0.0.1"]
    with (
        served(command, tmp_path, tmp_path / "state", r"http://(?:127\.0\.0\.1|localhost):\d+/") as url,
        opened(browser) as (page, trouble),
    ):
        page.goto(url)
        create_the_role(page)
        page.screenshot(path=artefacts / "voila-panel.png")
        (artefacts / "voila-panel.html").write_text(page.content(), "utf-8")
        assert ours(trouble) == []
