"""How an action ended, as HTML and as text: what it returned, or an error card that says what to do next."""

from __future__ import annotations

import logging
from html import escape
from typing import Any

from ..errors import Cancelled, RamroleError
from ..redact import redact
from ..render import html_card, text_card

__all__ = ["error_html", "error_text", "html_of", "text_of"]

_log = logging.getLogger(__name__)

_OUR_FAULT = "a fault of ramrole_nb itself, not of yours; look at what changed before you go on"


def html_of(value: Any) -> str:
    """Return a value's HTML as a notebook would show it, else its text; empty for None."""
    if value is None:
        return ""
    if (bundle := getattr(value, "_repr_mimebundle_", None)) is not None:
        data = bundle()
        data = data[0] if isinstance(data, tuple) else data
        if "text/html" in data:
            return str(data["text/html"])
    if (html := getattr(value, "_repr_html_", None)) is not None:
        return str(html())
    return f"<pre>{escape(redact(text_of(value)))}</pre>"


def text_of(value: Any) -> str:
    """Return a value's text as a notebook would show it where it shows no HTML; empty for None."""
    if value is None:
        return ""
    if (bundle := getattr(value, "_repr_mimebundle_", None)) is not None:
        data = bundle()
        data = data[0] if isinstance(data, tuple) else data
        if "text/plain" in data:
            return str(data["text/plain"])
    return value if isinstance(value, str) else repr(value)


def error_html(error: BaseException) -> str:
    """Return an error's card."""
    title, facts = _card(error)
    return html_card(title, facts)


def error_text(error: BaseException) -> str:
    """Return the same as text."""
    title, facts = _card(error)
    return text_card(title, facts)


def _card(error: BaseException) -> tuple[str, list[tuple[str, str]]]:
    if isinstance(error, RamroleError):
        symbol = "■ Cancelled" if isinstance(error, Cancelled) else "✕ Failed"
        return f"{symbol}: {redact(error.what)}", [
            (label, redact(text)) for label, text in error.facts().items()
        ]
    _log.error("an action of a panel failed: %s: %s", type(error).__name__, redact(error))
    facts = [("error", f"{type(error).__name__}: {redact(error)}"), ("why", _OUR_FAULT)]
    return "✕ Failed", [*facts, ("next step", "report it with the text above")]
