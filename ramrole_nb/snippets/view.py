"""The code of an action, shown: in a notebook one folded part for each language, elsewhere as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

from ..errors import nearest
from ..render.style import LINE, MUTED, TEXT
from .actions import Action
from .languages import LANGUAGES, PROSE, code

__all__ = ["CodeView", "show"]

_CODE = f"overflow-x:auto;padding:8px 12px;margin:4px 0 8px;border:{LINE};border-radius:4px;{TEXT}"
_LONGEST = 120


class CodeView:
    """The code of an action in every language; each is an attribute by its id (`view.python`, `view.shell`)."""

    def __init__(self, title: str, codes: Mapping[str, str]) -> None:
        self.title = title
        self.codes = MappingProxyType(dict(codes))

    def __getattr__(self, name: str) -> str:
        codes = self.__dict__.get("codes", {})
        if name in codes:
            return str(codes[name])
        raise AttributeError(f"there is no code in {name!r}.{nearest(name, codes)}")

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self.codes])

    def __repr__(self) -> str:
        parts = [
            f"{'-' * 4} {LANGUAGES.get(name, name)} {'-' * 4}\n{text.rstrip()}"
            for name, text in self.codes.items()
        ]
        return "\n\n".join([f"The same as code: {self.title}", *parts])

    def _repr_html_(self) -> str:
        parts = "".join(
            self._part(name, text, is_open=not number)
            for number, (name, text) in enumerate(self.codes.items())
        )
        return (
            f'<div style="max-width:60em;{TEXT}"><p><strong>The same as code</strong> '
            f'<span style="{MUTED}">{_escaped(self.title)}</span></p>{parts}</div>'
        )

    def _part(self, name: str, text: str, *, is_open: bool) -> str:
        title = escape(LANGUAGES.get(name, name))
        wrap = "pre-wrap" if name in PROSE else "pre"
        # A part that scrolls must be reached by keyboard, and then it needs a name.
        return (
            f"<details{' open' if is_open else ''}><summary>{title}</summary>"
            f'<pre tabindex="0" role="region" aria-label="{title}" style="white-space:{wrap};{_CODE}">'
            f"<code>{_escaped(text.rstrip())}</code></pre></details>"
        )


def _escaped(text: str) -> str:
    # A browser reads a carriage return as a line break, unless it is spelt out.
    return escape(text).replace("\r", "&#13;")


def show(action: Action) -> CodeView:
    """Return the code of an action to look at. Raises InputError as `code` does."""
    words = " ".join(action.words.split()) if isinstance(action, Action) else ""
    title = words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
    return CodeView(title, {language: code(action, language) for language in LANGUAGES})
