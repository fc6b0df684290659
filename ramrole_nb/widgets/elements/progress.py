"""How far a long piece of work is."""

from __future__ import annotations

import anywidget
import traitlets

from ._base import NotNegative, Text, module, style

__all__ = ["ProgressBar"]


class ProgressBar(anywidget.AnyWidget):
    """A native `<progress>`, which has the role and the value that ipywidgets' bars lack.

    Traits: `value` and `maximum` in any unit (`maximum` 0: unknown, the bar only shows that something goes on), `label`
    (the accessible name, shown too), `caption` (e.g. "3.2 of 12 MB, 5 MB/s"), `active` (False: hidden).
    """

    _esm = module("progress.js")
    _css = style("progress")

    value = NotNegative(0.0).tag(sync=True)
    maximum = NotNegative(0.0).tag(sync=True)
    label = Text("").tag(sync=True)
    caption = Text("").tag(sync=True)
    active = traitlets.Bool(False).tag(sync=True)

    @property
    def line(self) -> str:
        """The bar as plain text, e.g. `upload: 27 %, 3.2 of 12 MB`; empty while it is hidden."""
        if not self.active:
            return ""
        share = f"{min(self.value / self.maximum, 1):.0%}".replace("%", " %") if self.maximum else ""
        facts = ", ".join(fact for fact in (share, self.caption) if fact)
        return ": ".join(part for part in (self.label, facts) if part)
