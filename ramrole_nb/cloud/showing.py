"""Tables that read their rows from a service when they are shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from ..errors import RamroleError
from ..render import html_table, text_table
from .calls import checking

__all__ = ["ServiceTable"]


class ServiceTable(ABC):
    """Shows the rows of `_rows`. Where the service refuses, the refusal stands in their place: showing never raises."""

    _TITLE = ""
    _HEAD: Sequence[str] = ()
    _EMPTY = "nothing yet"

    @abstractmethod
    def _rows(self) -> list[list[str]]: ...

    def _read(self) -> tuple[list[list[str]], str]:
        try:
            with checking():  # looking at a table is no step of the way: the wire folds it away
                return self._rows(), self._EMPTY
        except RamroleError as error:
            return [], str(error)

    def __repr__(self) -> str:
        rows, otherwise = self._read()
        return text_table(self._HEAD, rows) or otherwise

    def _repr_html_(self) -> str:
        rows, otherwise = self._read()
        return html_table(self._HEAD, rows, title=self._TITLE, empty=otherwise)
