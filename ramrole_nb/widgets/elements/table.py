"""A table to sort, filter and choose from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import anywidget
import traitlets

from ...errors import nearest
from ...redact import redact
from ._base import Choice, Refused, Text, module, style
from ._order import shown, sort_key

__all__ = ["DataTable"]

_KINDS = ("text", "number", "time")
_COLUMN = ("key", "title", "kind")


class DataTable(anywidget.AnyWidget):
    """A native `<table>` with sorting, a filter, pages, and native checkboxes or radio buttons to select rows.

    Traits:
        columns: what is shown, in order: `{"key": …, "title": …, "kind": "text", "number" or "time"}`; `title` is the
            key and `kind` is "text" where left out. The first column names the row ("select web-1").
        rows: one mapping each, with a unique `"id"` (text). Values are text, numbers, True/False, None or a `datetime`;
            a "time" is ISO 8601 text or epoch seconds, and is shown in UTC. Assign a new list, never change it in place.
        selectable: "none", "one" or "many".
        selected: the ids chosen, in the order of `rows`. An id that no row has is dropped, so a row that vanishes from
            `rows` leaves the selection.
        filter: only rows that hold each of its words, in whatever column, are shown; case does not matter.
        sort: `[key, "asc"]`, `[key, "desc"]` or `[]`: the order of `rows`. Empty values come last both ways.
        caption: the table's title and accessible name.
        page_size: rows shown at a time.
        empty: the sentence that stands where no row is.

    Bad columns, rows or sort raise `InputError` and change nothing.
    """

    _esm = module("table.js")
    _css = style("table")

    columns = traitlets.List(traitlets.Dict()).tag(sync=True)
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    selectable = Choice("none", words=("none", "one", "many")).tag(sync=True)
    selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
    filter = Text("").tag(sync=True)
    sort = traitlets.List(traitlets.Unicode()).tag(sync=True)
    caption = Text("").tag(sync=True)
    page_size = traitlets.Int(50).tag(sync=True)
    empty = Text("There is nothing to show yet.").tag(sync=True)

    def visible_rows(self) -> list[dict[str, Any]]:
        """Return the rows that pass the filter, sorted as the browser sorts them (all pages)."""
        words = self.filter.lower().split()
        kinds = self._kinds()
        rows = [row for row in self.rows if not words or self._holds(row, words)]
        if not self.sort:
            return rows
        key, direction = self.sort
        kind = kinds.get(key, "text")
        keyed = [(sort_key(row.get(key), kind), row) for row in rows]
        filled = [(value, row) for value, row in keyed if value is not None]
        # `reverse` keeps equal ones in their order, as the browser does.
        filled.sort(key=lambda pair: pair[0], reverse=direction == "desc")
        return [row for _, row in filled] + [row for value, row in keyed if value is None]

    def selected_rows(self) -> list[dict[str, Any]]:
        """Return the rows chosen, in the order of `rows`, whether the filter hides them or not."""
        chosen = set(self.selected)
        return [row for row in self.rows if row["id"] in chosen]

    def select(self, *ids: str) -> None:
        """Choose exactly these rows. An id that no row has raises `InputError`; the trait itself would drop it."""
        known = [row["id"] for row in self.rows]
        for wanted in ids:
            if wanted not in known:
                raise Refused(
                    f"There is no row {wanted!r}.{nearest(wanted, known)}",
                    next_step="take an id of `rows`",
                )
        self.selected = list(ids)

    def cells(self, row: Mapping[str, Any]) -> list[str]:
        """Return one row's values as shown, in the order of `columns`."""
        return [shown(row.get(column["key"]), column["kind"]) for column in self.columns]

    def _kinds(self) -> dict[str, str]:
        # While several traits are being set, the columns may still be as they were given.
        return {str(column.get("key", "")): str(column.get("kind", "text")) for column in self.columns}

    def _holds(self, row: Mapping[str, Any], words: Sequence[str]) -> bool:
        text = "\n".join(self.cells(row)).lower()
        return all(word in text for word in words)

    @traitlets.validate("columns")
    def _check_columns(self, proposal: Mapping[str, Any]) -> list[dict[str, str]]:
        columns: list[dict[str, str]] = []
        for given in proposal["value"]:
            for name in given:
                if name not in _COLUMN:
                    raise Refused(
                        f"A column has no {name!r}.{nearest(str(name), _COLUMN)}",
                        next_step="use key, title and kind",
                    )
            key = str(given.get("key", ""))
            kind = str(given.get("kind", "text"))
            if not key or key in {column["key"] for column in columns}:
                raise Refused(
                    f"A column's key must be there and be the only one of its name, not {key!r}",
                    next_step="give each column a key of its own",
                )
            if kind not in _KINDS:
                raise Refused(
                    f"A column's kind cannot be {kind!r}.{nearest(kind, _KINDS)}",
                    next_step="use 'text', 'number' or 'time'",
                )
            columns.append({"key": key, "title": redact(given.get("title", key)), "kind": kind})
        return columns

    @traitlets.validate("rows")
    def _check_rows(self, proposal: Mapping[str, Any]) -> list[dict[str, Any]]:
        rows = [{str(key): _value(value, key) for key, value in row.items()} for row in proposal["value"]]
        seen: set[str] = set()
        for number, row in enumerate(rows):
            name = row.get("id")
            if not isinstance(name, str) or not name:
                raise Refused(f"Row {number} has no id", next_step='give each row an "id", a text of its own')
            if name in seen:
                raise Refused(f"Two rows have the id {name!r}", next_step="give each row an id of its own")
            seen.add(name)
        return _masked(rows)

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Mapping[str, Any]) -> list[str]:
        return self._possible(proposal["value"])

    @traitlets.validate("sort")
    def _check_sort(self, proposal: Mapping[str, Any]) -> list[str]:
        sort = list(proposal["value"])
        if sort and (len(sort) != 2 or sort[1] not in {"asc", "desc"}):
            raise Refused(
                f"sort cannot be {sort!r}", next_step='use [key, "asc"], [key, "desc"], or [] for none'
            )
        keys = list(self._kinds())
        if sort and keys and sort[0] not in keys:
            raise Refused(
                f"There is no column {sort[0]!r} to sort by.{nearest(sort[0], keys)}",
                next_step=f"use one of {', '.join(map(repr, keys))}",
            )
        return sort

    @traitlets.validate("page_size")
    def _check_page_size(self, proposal: Mapping[str, Any]) -> int:
        size = int(proposal["value"])
        if size < 1:
            raise Refused(f"page_size cannot be {size}", next_step="show at least one row a page")
        return size

    @traitlets.observe("rows", "selectable")
    def _drop_the_vanished(self, _change: object) -> None:
        self.selected = self._possible(self.selected)

    @traitlets.observe("columns")
    def _drop_the_sort(self, _change: object) -> None:
        if self.sort and self.sort[0] not in self._kinds():
            self.sort = []

    def _possible(self, ids: Iterable[str]) -> list[str]:
        chosen = set(ids)
        most = {"none": 0, "one": 1}.get(self.selectable)
        return [row["id"] for row in self.rows if row.get("id") in chosen][:most]


def _value(value: Any, key: object) -> str | int | float | bool | None:
    """Return one value of a row as the browser can have it."""
    if isinstance(value, datetime):
        at = value if value.tzinfo else value.replace(tzinfo=UTC)
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has neither infinity nor "not a number"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise Refused(
        f"A row's {key!r} is a {type(value).__name__}, which a table cannot show",
        next_step="give a text, a number, True, False, None or a datetime",
    )


def _masked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with secrets masked; looks at all texts at once, as there hardly ever is one."""
    texts = "\n".join(value for row in rows for value in row.values() if isinstance(value, str))
    if redact(texts) == texts:
        return rows
    masked = [{k: redact(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    for row, safe in zip(rows, masked, strict=True):
        if row["id"] != safe["id"]:
            raise Refused("A row's id looks like a secret", next_step="name the row by something else")
    return masked
