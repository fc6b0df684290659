"""Failures that are shown on purpose: the error as a card, and the notebook goes on.

>>> with rr.show_error():
...     vm.attach("AnotherRole")
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import RamroleError
from .redact import redact
from .render import html_card, text_card

__all__ = ["ShownError", "show_error"]


@dataclass(frozen=True, repr=False)
class ShownError:
    """An error as a card; `error` is None where nothing failed."""

    error: RamroleError | None = None

    def _title(self) -> str:
        if self.error is None:
            return "✓ Nothing failed here: the call went through"
        return f"✕ {type(self.error).__name__}: {redact(self.error.what)}"

    def _facts(self) -> list[tuple[str, str]]:
        if self.error is None:
            return []
        return [(label, redact(text)) for label, text in self.error.facts().items()]

    def __repr__(self) -> str:
        return text_card(self._title(), self._facts())

    def _repr_html_(self) -> str:
        return html_card(self._title(), self._facts())


@contextlib.contextmanager
def show_error() -> Iterator[None]:
    """Show the error of what is inside as a card, instead of stopping the notebook.

    Only errors of this library (RamroleError) are shown; a mistake in the code itself is raised as always. Where nothing
    fails, a card says so.
    """
    failed: RamroleError | None = None
    try:
        yield
    except RamroleError as error:
        failed = error.with_traceback(None)
    from IPython.display import display

    display(ShownError(failed))  # type: ignore[no-untyped-call]
