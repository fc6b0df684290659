"""Panels without a browser: they are driven by their methods and by `button.click()`, as the front end would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pytest

from ramrole_nb.errors import ServiceError

if TYPE_CHECKING:
    from ramrole_nb.widgets import Panel


@pytest.fixture
def made() -> Iterator[Callable[[Any], Any]]:
    """Return a function that keeps a panel for closing at the end of the test, once it has read what it shows."""
    panels: list[Any] = []

    def keep(panel: Any) -> Any:
        panels.append(panel)
        return panel.wait()

    yield keep
    for panel in panels:
        panel.close()


def button(panel: Panel, text: str) -> widgets.Button:
    """Return the panel's button of that text."""
    found = [w for w in everything(panel.box) if isinstance(w, widgets.Button) and w.description == text]
    assert len(found) == 1, f"{len(found)} buttons are called {text!r}"
    return found[0]


def everything(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """Walk a widget and all below it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def click(panel: Panel, text: str) -> Panel:
    """Click a button and wait for what it does."""
    button(panel, text).click()
    return panel.wait()


def states(panel: Panel) -> str:
    """Return everything the panel's widgets tell the browser, as text."""
    return "\n".join(str(widget.get_state()) for widget in everything(panel.box))


def failure_of(panel: Panel) -> BaseException | None:
    """Return the error the panel shows, if any."""
    found: BaseException | None = panel.model.error
    return found


def shows_its_failure(panel: Panel) -> None:
    """The service's refusal stands in the panel, as HTML and text: its code, its request id, what to do next."""
    error = failure_of(panel)
    assert isinstance(error, ServiceError)
    for fact in (error.code, error.request_id, "next step"):
        assert fact
        assert fact in panel._outcome.value
        assert fact in panel.text()
