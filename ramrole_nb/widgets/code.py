"""The code panel: what was just done, by whatever way, as code in each language. `rr.snippets` has the same as functions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..redact import redact
from ..snippets import LANGUAGES, Action, CodeView, show
from ..snippets.from_calls import actions_from
from .elements import Tabs
from .elements._base import redact_code
from .panel import Panel

if TYPE_CHECKING:
    from ..cloud.session import Cloud

__all__ = ["CodePanel"]

_LAST = 20
_NOTHING = "Nothing was done yet. Click in a panel or run a cell, and its code stands here."
_CHOOSE = "What was done in this session, the newest first. Choose one to see its code."
_LONGEST = 90


@dataclass(frozen=True)
class _Picture:
    """The last actions, newest first; each with its number since the start of the record."""

    actions: tuple[tuple[int, Action], ...] = ()


class CodePanel(Panel):
    """Show the code of what was done in this session: clicked or typed. It follows what is done next.

    Parameters: `cloud` the session. In one line: `last_code(cloud.wire.since())` of `ramrole_nb.snippets.from_calls`.
    """

    TITLE = "The same as code"
    FOLLOWS = True

    def __init__(self, cloud: Cloud) -> None:
        self._followed = 0
        self._at: tuple[int, Action] | None = None
        self._drawer = 0
        super().__init__(cloud)

    # -- controls --------------------------------------------------------------------------------------------

    def _controls(self) -> Sequence[widgets.Widget]:
        self._none = widgets.HTML()
        self.done = widgets.Select(
            options=[],
            description="Done",
            rows=5,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="100%", max_width="60em"),
        )
        self.done.observe(self._chosen, names=["value"])
        self.tabs = Tabs()
        self._box = widgets.VBox([self.done, self.tabs], layout=widgets.Layout(display="none"))
        return (self._none, self._box)

    def _chosen(self, change: Mapping[str, Any]) -> None:
        if threading.get_ident() != self._drawer:  # else the options are being renewed, and nobody chose
            self._show(change["new"])

    def choose(self, number: int = 0) -> CodeView | None:
        """Show the code of the `number`-th action (0: the newest) and return it; None where there is none."""
        actions = self._shown.actions
        if not 0 <= number < len(actions):
            return None
        self.done.value = actions[number][0]
        self._show(actions[number][0])
        return show(actions[number][1])

    def _show(self, number: int | None) -> None:
        found = next((one for one in self._shown.actions if one[0] == number), None)
        if found is None or found == self._at:
            return
        self._at = found
        view = show(found[1])
        self.tabs.show({LANGUAGES.get(name, name): text for name, text in view.codes.items()})
        self._say(f"the code of: {_words(found[1])}", "info")

    # -- what it shows ---------------------------------------------------------------------------------------

    @property
    def _shown(self) -> _Picture:
        return self._picture or _Picture()

    def _read(self) -> _Picture:
        actions = list(enumerate(actions_from(self.cloud.wire.since()), 1))
        return _Picture(tuple(reversed(actions[-_LAST:])))

    def _draw(self, picture: _Picture) -> None:
        self._none.value = f'<div class="rr-note">{escape(_CHOOSE if picture.actions else _NOTHING)}</div>'
        self._box.layout.display = "" if picture.actions else "none"
        options = [(f"{number}. {_words(action)}", number) for number, action in picture.actions]
        if options != list(self.done.options):
            # What is done next is shown at once, unless an older one is being looked at.
            newest = options[0][1] if options else None
            follow = self.done.value in (None, self._followed) or self.done.value not in dict(picture.actions)
            wanted = newest if follow else self.done.value
            self._drawer = threading.get_ident()
            try:
                self.done.options = options
                self.done.value = wanted
            finally:
                self._drawer = 0
            self._followed = newest or 0
            self._show(wanted)

    @property
    def view(self) -> CodeView | None:
        """The code shown now; None: nothing was done yet."""
        return show(self._at[1]) if self._at is not None and self._shown.actions else None

    def _body_html(self) -> str:
        if (view := self.view) is None:
            return f"<p>{escape(_NOTHING)}</p>"
        items = "".join(f"<li>{escape(_words(action))}</li>" for _, action in self._shown.actions)
        return f"<p>Done, the newest first:</p><ol>{items}</ol>{redact_code(view._repr_html_())}"

    def _body_text(self) -> str:
        if (view := self.view) is None:
            return _NOTHING
        items = "\n".join(f"  {number}. {_words(action)}" for number, action in self._shown.actions)
        return f"Done, the newest first:\n{items}\n{redact_code(repr(view))}"


def _words(action: Action) -> str:
    words = redact(" ".join(action.words.split()))
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
