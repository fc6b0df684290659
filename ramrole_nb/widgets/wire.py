"""The wire panel: every exchange with the services, and each one opened. `cloud.wire.exchanges()`, `cloud.wire[-1]`."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from ..cloud.wire import FOLDED, WireCall, joined
from ..errors import InputError, RamroleError
from ..jobs import Job
from ..render import html_table, text_table
from .elements import DataTable
from .fields import choice, heading
from .panel import Panel, row

if TYPE_CHECKING:
    from ..cloud.session import Cloud
    from ..cloud.wire import Wire

__all__ = ["WirePanel"]

_SERVICES = (
    ("all", ""),
    ("RAM (roles, policies)", "Ram"),
    ("ECS (instances)", "Ecs"),
    ("STS (identity)", "Sts"),
    ("OSS (objects)", "Oss"),
    ("IMDS (metadata)", "IMDS"),
    ("none of them", "front"),
)
# Twelve fit into the table without scrolling, so that the newest is in sight.
_SHOWN = (("the last 12", "12"), ("the last 50", "50"), ("the last 200", "200"), ("all", "2000"))
# In the order of use: where it is narrow, the last ones are scrolled to.
_COLUMNS = [
    {"key": "call", "title": "call"},
    {"key": "status", "title": "status"},
    {"key": "decided", "title": "decided by"},
    {"key": "by", "title": "signed by"},
    {"key": "time", "title": "time (UTC)"},
]
_HEAD = ("call", "status", "decided by", "signed by", "ms")
_KEEP = 2_000
# How many a saved notebook shows opened, for where nothing can be clicked.
_OPENED = 8
# How long one question for more is held open, and the pause after an answer, in seconds.
_HOLD, _PAUSE = 0.8, 0.3
_CHOOSE = (
    '<div class="rr-note">Choose an exchange above to open it: request, signature, decision, answer.</div>'
)


# How often a reading is repeated for calls that may be ours, and among how many of the latest such are looked for.
_AGAIN, _LATEST = 4, 50


class WirePanel(Panel):
    """The exchanges, newest last; choosing one opens it.

    In the sandbox they are everybody's: this session's, those of SDKs on an instance, and of terminals. Live they are the
    calls of this session. Parameters: `cloud` the session. In one line: `cloud.wire.exchanges()`; `cloud.wire[-1]` or
    `cloud.wire.last()` opens one; `cloud.wire.clear()`.
    """

    TITLE = "On the wire"
    FOLLOWS = True

    def __init__(self, cloud: Cloud) -> None:
        self._calls: list[WireCall] = []
        self._seen = self._again = 0
        self._reading = threading.Lock()
        self._ended = threading.Event()
        super().__init__(cloud)
        self._watch()

    def _controls(self) -> Sequence[widgets.Widget]:
        self.service = choice("Service", _SERVICES, "")
        self.shown = choice("Show", _SHOWN, "12")
        self.failures = _box("Only failures")
        self.lookups = _box("Look-ups too")
        self.follow = _box("Follow", on=True)
        for field in (self.service, self.shown, self.failures, self.lookups):
            field.observe(lambda _: self.refresh(), names=["value"])
        self.follow.observe(lambda _: self._watch(), names=["value"])
        self.table = DataTable(
            columns=_COLUMNS, selectable="one", page_size=50, caption="Exchanges, newest last"
        )
        self.table.empty = "No exchange yet, or none that passes the filters."
        self.table.observe(lambda _: self._open(), names=["selected"])
        self._folded = widgets.HTML()
        self._opened = widgets.HTML(_CHOOSE, layout=widgets.Layout(width="auto"))
        again = self.button("Look again", self.refresh, tooltip="Read anew: cloud.wire.exchanges()")
        clear = self.button(
            "Clear exchanges", self.clear, tooltip="Forget what was shown so far: cloud.wire.clear()"
        )
        return (
            row(self.service, self.shown, self.failures, self.lookups, self.follow),
            self.table,
            self._folded,
            row(again, clear),
            heading("The exchange, opened"),
            self._opened,
        )

    # -- actions ---------------------------------------------------------------------------------------------

    def open(self, seq: int) -> WireCall:
        """Open the exchange of a number, and return it: it is shown as `cloud.wire[i]` shows itself. Raises InputError."""
        found = self._call(str(seq))
        if found is None:
            last = f"; the last one is {self._calls[-1].seq}" if self._calls else ""
            raise InputError(
                f"There is no exchange {seq} here{last}.", next_step="take a number of the table"
            )
        if str(seq) in {item["id"] for item in self.table.rows}:
            self.table.select(str(seq))
        self._opened.value = found._repr_html_()
        return found

    def clear(self) -> Job[Any]:
        """Forget the exchanges made so far: `cloud.wire.clear()`."""
        return self.act(
            "clear", lambda _: self.cloud.wire.clear(), done="cleared: what comes now shows here", quiet=True
        )

    # -- reading ---------------------------------------------------------------------------------------------

    def _read(self) -> list[WireCall]:
        wire = self.cloud.wire
        with self._reading:
            fresh = wire.exchanges(self._seen)
            self._seen = max([self._seen, *(call.seq for call in fresh[-1:])])
            own = wire.by_request() if wire.sees_everyone else {}
            kept = [joined(call, own) for call in [*self._calls, *fresh] if call.seq > wire.cleared]
            self._calls = kept[-_KEEP:]
            # The journal may know a call of ours before this session has noted its end: then it is joined a moment later.
            self._again = _AGAIN if fresh else self._again - 1
            if (
                wire.sees_everyone
                and self._again > 0
                and any(c.request_id not in own for c in kept[-_LATEST:])
            ):
                self._something_changed()
            return self._calls

    def _draw(self, picture: list[WireCall]) -> None:
        shown = self._chosen(picture)
        rows = [_row(call) for call in shown]
        if rows != self.table.rows:
            self.table.rows = rows
        hidden = sum(call.check for call in picture) if not self.lookups.value else 0
        said = f"{hidden:,} {FOLDED}." if hidden else ""
        self._folded.value = f'<div class="rr-note">{escape(said)}</div>'

    def _chosen(self, calls: Sequence[WireCall]) -> list[WireCall]:
        service = self.service.value
        found = [
            call
            for call in calls
            if (not service or call.service == service or (service == "front" and call.service == "OpenAPI"))
            and not (self.failures.value and call.ok)
            and (self.lookups.value or not call.check)
        ]
        return found[-int(self.shown.value) :]

    def _call(self, seq: str) -> WireCall | None:
        return next((call for call in self._calls if str(call.seq) == seq), None)

    def _open(self) -> None:
        chosen = self._call(self.table.selected[0]) if self.table.selected else None
        self._opened.value = chosen._repr_html_() if chosen is not None else _CHOOSE

    # -- following what others do ------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Start or end the thread that hears of exchanges made by others; live there is none to hear of."""
        self._ended.set()
        if not self.follow.value:
            return
        self._ended = threading.Event()
        if self.cloud.wire.sees_everyone:
            seen, tell = weakref.WeakMethod(self._up_to), weakref.WeakMethod(self._something_changed)
            arguments = (seen, tell, self.cloud.wire, self._ended)
            threading.Thread(target=_follow, args=arguments, name="ramrole-follow", daemon=True).start()

    def _up_to(self) -> int:
        return max(self._seen, self.cloud.wire.cleared)

    def _something_changed(self) -> None:
        if self.follow.value:
            super()._something_changed()

    def close(self) -> None:
        """Close the panel; following ends within a second."""
        self._ended.set()
        super().close()

    # -- without a front end ---------------------------------------------------------------------------------

    def _body_html(self) -> str:
        shown = self._chosen(self._calls)
        rows = [_cells(call) for call in shown[-50:]]
        table = html_table(_HEAD, rows, title="Exchanges, newest last", empty="no exchange yet")
        opened = "".join(
            f"<details><summary>{escape(_title(call))}</summary>{call._repr_html_()}</details>"
            for call in shown[-_OPENED:]
        )
        below = f"<p>The last {min(len(shown), _OPENED)}, opened:</p>{opened}" if opened else ""
        return table + below

    def _body_text(self) -> str:
        shown = self._chosen(self._calls)
        table = text_table(_HEAD, [_cells(call) for call in shown[-50:]]) or "no exchange yet"
        chosen = self._call(self.table.selected[0]) if self.table.selected else None
        return f"{table}\n\n{chosen}" if chosen is not None else table


def _follow(
    seen: weakref.WeakMethod[Callable[[], int]],
    tell: weakref.WeakMethod[Callable[[], None]],
    wire: Wire,
    ended: threading.Event,
) -> None:
    """Tell a panel whenever anybody made an exchange, until it is gone or following ends."""
    while not ended.is_set():
        up_to = seen()
        if up_to is None:
            return
        since = up_to()
        del up_to
        try:
            more = wire.wait_for_more(since, _HOLD)
        except RamroleError:  # the sandbox has ended, or starts again: it is asked later
            ended.wait(_HOLD)
            continue
        if more and not ended.is_set() and (hear := tell()) is not None:
            hear()
            del hear
            ended.wait(_PAUSE)


def _box(label: str, *, on: bool = False) -> widgets.Checkbox:
    return widgets.Checkbox(value=on, description=label, indent=False, layout=widgets.Layout(width="auto"))


def _title(call: WireCall) -> str:
    return f"{call.seq} {call.name}: {_status(call)}"


def _status(call: WireCall) -> str:
    return f"{'✓' if call.ok else '✕'} {call.status or 'no answer'}"


def _decided(call: WireCall) -> str:
    """Say in a few words who decided; the whole sentence is in the opened exchange."""
    policy, outcome = call.decision.get("policy", ""), call.decision.get("outcome", "")
    told = {
        "ALLOW": f"✓ {policy}",
        "EXPLICIT_DENY": f"✕ {policy}",
        "IMPLICIT_DENY": "✕ nothing allows it",
        "UNKNOWN": "? not modelled",
    }.get(outcome, "–")
    if call.ok:
        return told
    error = call.error.partition(":")[0]
    if outcome == "ALLOW":
        return f"allowed, then refused: {error}"
    return f"{told} ({error})" if outcome else error


def _cells(call: WireCall) -> list[str]:
    return [f"{call.seq} {call.name}", _status(call), _decided(call), call.caller, f"{call.ms:.0f}"]


def _row(call: WireCall) -> dict[str, Any]:
    return {
        "id": str(call.seq),
        "call": f"{call.seq} {call.name}",
        "status": _status(call),
        "time": datetime.fromtimestamp(call.time, UTC).strftime("%H:%M:%S"),
        "by": call.caller,
        "decided": _decided(call),
    }
