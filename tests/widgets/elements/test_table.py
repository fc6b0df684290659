"""The table's Python side; tests/browser/test_elements.py compares the browser's with it."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ramrole_nb.errors import InputError
from ramrole_nb.widgets.elements import DataTable

COLUMNS = [
    {"key": "name", "title": "Name"},
    {"key": "cpu", "title": "vCPU", "kind": "number"},
    {"key": "at", "title": "Created", "kind": "time"},
]
ROWS: list[dict[str, Any]] = [
    {"id": "a", "name": "web-10", "cpu": 4, "at": "2026-01-01T00:00Z"},
    {"id": "b", "name": "web-2", "cpu": None, "at": 1767225601},
    {"id": "c", "name": "Db_1", "cpu": 16, "at": "2025-06-01T08:00:00+08:00"},
    {"id": "d", "name": "WEB-2", "cpu": 4, "at": "never"},
]


def table(**traits: Any) -> DataTable:
    return DataTable(**{"columns": COLUMNS, "rows": ROWS, **traits})


def ids(shown: DataTable) -> list[str]:
    return [row["id"] for row in shown.visible_rows()]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ([], "abcd"),
        (["name", "asc"], "cbda"),
        (["name", "desc"], "abdc"),  # b and d are equal and keep their order
        (["cpu", "asc"], "adcb"),  # numbers by value; what has none comes last
        (["cpu", "desc"], "cadb"),
        (["at", "asc"], "cabd"),
        (["at", "desc"], "bacd"),
    ],
)
def test_sorting(sort: list[str], order: str) -> None:
    assert "".join(ids(table(sort=sort))) == order


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ("", "abcd"),
        ("web", "abd"),
        ("WEB 4", "ad"),
        ("2025-06-01 00:00:00 utc", "c"),
        ("nothing", ""),
        ("16", "c"),
    ],
)
def test_filtering_looks_at_what_is_shown(words: str, order: str) -> None:
    assert "".join(ids(table(filter=words))) == order


def test_cells_are_what_the_browser_shows() -> None:
    shown = table(columns=[*COLUMNS, {"key": "hardened"}])
    row = {"id": "x", "name": "n", "cpu": 2.0, "at": 1767225601, "hardened": True}
    assert shown.cells(row) == ["n", "2", "2026-01-01 00:00:01 UTC", "yes"]
    assert shown.cells({"id": "x"}) == ["", "", "", ""]


def test_selection_follows_the_rows() -> None:
    shown = table(selectable="many", selected=["d", "a", "gone"])
    assert shown.selected == ["a", "d"]
    shown.rows = ROWS[1:]
    assert shown.selected == ["d"]
    assert shown.selected_rows() == [ROWS[3]]
    shown.filter = "db"
    assert shown.selected == ["d"], "the filter hides, it does not unselect"
    shown.selectable = "none"
    assert shown.selected == []


def test_one_is_one() -> None:
    shown = table(selectable="one", selected=["c", "b"])
    assert shown.selected == ["b"]
    assert table(selectable="none", selected=["b"]).selected == []


def test_the_browser_cannot_select_what_is_not_there() -> None:
    shown = table(selectable="many")
    shown.set_state({"selected": ["b", "zz"]})
    assert shown.selected == ["b"]


def test_selecting_by_a_wrong_id_names_the_nearest() -> None:
    shown = DataTable(rows=[{"id": "web-1"}, {"id": "db-1"}], selectable="many", selected=["db-1"])
    with pytest.raises(InputError, match="Did you mean 'web-1'"):
        shown.select("db-1", "wbe-1")
    assert shown.selected == ["db-1"]
    shown.select("web-1")
    assert shown.selected == ["web-1"]


def hold_and_set(shown: DataTable, traits: dict[str, Any]) -> None:
    with shown.hold_trait_notifications():
        for name, value in traits.items():
            shown.set_trait(name, value)


@pytest.mark.parametrize(
    ("traits", "says"),
    [
        ({"rows": [{"name": "x"}]}, "Row 0 has no id"),
        ({"rows": [{"id": "a"}, {"id": "a"}]}, "Two rows have the id 'a'"),
        ({"rows": [{"id": "a", "tags": ["x"]}]}, "'tags' is a list"),
        ({"rows": [{"id": "STS.NUabcdefghijklmnop"}]}, "looks like a secret"),
        ({"columns": [{"key": "a", "titel": "A"}]}, "Did you mean 'title'"),
        ({"columns": [{"key": "a"}, {"key": "a"}]}, "the only one of its name"),
        ({"columns": [{"key": "a", "kind": "numbre"}]}, "Did you mean 'number'"),
        ({"sort": ["nmae", "asc"]}, "Did you mean 'name'"),
        ({"sort": ["name", "up"]}, "sort cannot be"),
        ({"selectable": "mani"}, "Did you mean 'many'"),
        ({"page_size": 0}, "page_size cannot be 0"),
    ],
)
def test_what_is_refused_says_why_and_changes_nothing(traits: dict[str, Any], says: str) -> None:
    shown = table(selectable="one", sort=["cpu", "asc"])
    shown.sort, shown.page_size = ["name", "desc"], 7
    before = {name: getattr(shown, name) for name in traits}
    with pytest.raises(InputError, match=says) as refused:
        shown.set_trait(*next(iter(traits.items())))
    assert refused.value.next_step
    assert {name: getattr(shown, name) for name in traits} == before
    with pytest.raises(InputError, match=says):
        hold_and_set(shown, {**traits, "caption": "new"})
    assert {name: getattr(shown, name) for name in traits} == before
    with pytest.raises(InputError, match=says):
        table(**traits)


def test_times_and_numbers_json_has_not() -> None:
    east = timezone(timedelta(hours=8))
    shown = DataTable(
        columns=COLUMNS,
        rows=[
            {"id": "a", "at": datetime(2026, 1, 1, 8, tzinfo=east), "cpu": math.nan},
            {"id": "b", "at": datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None), "cpu": math.inf},
        ],
    )
    assert [row["at"] for row in shown.rows] == ["2026-01-01T00:00:00Z"] * 2
    assert [row["cpu"] for row in shown.rows] == [None, None]


def test_columns_that_change_take_their_sort_along() -> None:
    shown = table(sort=["cpu", "asc"])
    shown.columns = COLUMNS[:1]
    assert shown.sort == []


def test_rows_are_not_the_callers_to_change_later() -> None:
    mine = [{"id": "a", "name": "x"}]
    shown = DataTable(columns=COLUMNS[:1], rows=mine)
    mine[0]["name"] = "y"
    assert shown.rows[0]["name"] == "x"


def test_five_thousand_rows() -> None:
    rows = [{"id": f"i-{n}", "name": f"web-{n}", "cpu": n % 7, "at": 1767225601 + n} for n in range(5_000)]
    start = time.perf_counter()
    shown = table(rows=rows, selectable="many", sort=["name", "desc"], selected=[row["id"] for row in rows])
    assert ids(shown)[:2] == ["i-4999", "i-4998"]
    assert len(shown.selected) == 5_000
    assert time.perf_counter() - start < 5
