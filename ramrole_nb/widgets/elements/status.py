"""One line that says what is going on, and that assistive technology hears."""

from __future__ import annotations

import anywidget

from ._base import Choice, Text, module, style

__all__ = ["StatusLine"]

# kind -> (symbol, word): what is meant never hangs on a colour. static/status.js has the same.
WORDS = {
    "info": ("ℹ", "Note"),
    "working": ("…", "Working"),
    "done": ("✓", "Done"),
    "failed": ("✕", "Failed"),
    "cancelled": ("⊘", "Cancelled"),
}


class StatusLine(anywidget.AnyWidget):
    """A persistent live region (`role="status"`), and the keeper of the panel it stands in.

    Traits: `text` (empty: nothing is shown), `kind` ("info", "working", "done", "failed" or "cancelled"), `label` (the
    panel's accessible name).

    ipywidgets' HTML replaces its whole node on each change, which screen readers may miss; here only the text changes.
    As keeper it finds the box with the class `rr-panel` around it, makes it a named group, and sees to it that no key
    pressed on a control in it is a JupyterLab command (`d` `d` on a focused button would delete the cell), and that no
    control is without a name.
    """

    _esm = module("status.js")
    _css = style("status")

    text = Text("").tag(sync=True)
    kind = Choice("info", words=tuple(WORDS)).tag(sync=True)
    label = Text("").tag(sync=True)

    def say(self, text: str, kind: str = "info") -> None:
        """Show `text` as `kind`, in one message to the browser."""
        with self.hold_sync():
            self.kind = kind
            self.text = text

    @property
    def line(self) -> str:
        """The line as plain text, e.g. `✓ Done: role attached`; empty if there is no text."""
        symbol, word = WORDS[self.kind]
        return f"{symbol} {word}: {self.text}" if self.text else ""
