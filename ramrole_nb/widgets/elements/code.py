"""Code to read and to copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anywidget
import traitlets

from ._base import Code, Text, module, style

__all__ = ["CodeBlock", "Tabs"]


class CodeBlock(anywidget.AnyWidget):
    """A piece of code with a Copy button. Traits: `code`, `language` (shown, nothing is coloured), `title`."""

    _esm = module("code.js")
    _css = style("code_common", "code")

    code = Code("").tag(sync=True)
    language = Text("").tag(sync=True)
    title = Text("").tag(sync=True)


class Tabs(anywidget.AnyWidget):
    """Several pieces of code, one at a time, by the WAI-ARIA tabs pattern (ipywidgets' Tab ignores the arrow keys).

    Traits: `titles` and `texts` (one each a tab), `notes` (a sentence below the code; may be shorter), `selected` (the
    tab's index, from 0). Set them together with `show()`.
    """

    _esm = module("tabs.js")
    _css = style("code_common", "tabs")

    titles = traitlets.List(Text()).tag(sync=True)
    texts = traitlets.List(Code()).tag(sync=True)
    notes = traitlets.List(Text()).tag(sync=True)
    selected = traitlets.Int(0).tag(sync=True)

    def show(self, tabs: Mapping[str, str], *, notes: Mapping[str, str] | None = None) -> None:
        """Show one tab for each title in `tabs`, keeping the selected title where it is still there."""
        titles = list(tabs)
        kept = self.titles[self.selected] if self.selected < len(self.titles) else ""
        with self.hold_sync():
            self.titles = titles
            self.texts = list(tabs.values())
            self.notes = [(notes or {}).get(title, "") for title in titles]
            self.selected = titles.index(kept) if kept in titles else 0

    @traitlets.validate("selected")
    def _keep_in_range(self, proposal: Mapping[str, Any]) -> int:
        return max(0, min(int(proposal["value"]), len(self.titles) - 1))

    @traitlets.observe("titles")
    def _titles_changed(self, _change: object) -> None:
        self.selected = max(0, min(self.selected, len(self.titles) - 1))
