"""The calls just made: what was asked, of whom, and what came back. In the sandbox, why, too."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, overload

from ..errors import NotFound, RamroleError
from ..redact import redact
from ..render import html_table, text_table
from ..render.sections import Section, html_sections, text_sections
from .opened import opened

__all__ = ["FOLDED", "Wire", "WireCall", "joined"]

_log = logging.getLogger(__name__)

# What the calls are that stand aside.
FOLDED = (
    "calls are folded away: look-ups (where is it, does it exist already, may the caller do it?) "
    "and what a lesson prepared"
)
_HEAD = ("call", "status", "time", "signed by", "decided because")

# Enough for any session a person reads; a long batch does not grow the kernel.
_KEEP = 2_000
# The sandbox's journal: what it keeps, how many entries it tells at a time, and a number beyond all of them.
_MOST_ENTRIES, _PAGE, _BEYOND = 5_000, 1_000, 10**15
# So many calls are looked up one by one; for more the whole journal is read.
_FEW = 20


@dataclass(frozen=True, repr=False)
class WireCall:
    """One call. Shown in a notebook, or printed, it is opened: request, what was signed, the decision, the answer.

    `ms` is its duration; `caller` whose credential signed it; `check` whether it only looked something up before a
    change; `decision` what the sandbox decided; `entry` all that the sandbox's journal tells of it (live: nothing).
    """

    seq: int
    time: float
    service: str
    action: str
    params: Mapping[str, Any]
    status: int
    request_id: str
    ms: float
    caller: str = ""
    error: str = ""
    check: bool = False
    decision: Mapping[str, Any] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def ok(self) -> bool:
        """Whether the service did what was asked."""
        return 200 <= self.status < 400

    @property
    def name(self) -> str:
        """What was asked of whom, such as `Ram:CreateRole`."""
        return f"{self.service}:{self.action}"

    def sections(self) -> list[Section]:
        """Return the call opened, part by part."""
        return opened(self)

    def __str__(self) -> str:
        return redact(text_sections(self._title(), self.sections()))

    def __repr__(self) -> str:
        return f"<WireCall {self._title()}>"

    def _title(self) -> str:
        request_id = f", request id {self.request_id}" if self.request_id else ""
        return f"{self.name}: {'✓' if self.ok else '✕'} {self.status or 'no answer'}{request_id}"

    def _repr_html_(self) -> str:
        return redact(html_sections(self._title(), self.sections()))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self) if cycle else str(self))


class Wire:
    """The recorded calls, oldest first; `cloud.wire[-1]` is the last one, opened.

    `journal` finds the sandbox's entry of a request id, `entries(since, wait=seconds)` its entries after a number (live:
    there is neither).
    """

    def __init__(
        self,
        journal: Callable[[str], Mapping[str, Any] | None] | None = None,
        entries: Callable[..., Mapping[str, Any]] | None = None,
    ) -> None:
        self._journal = journal
        self._entries = entries
        #: Exchanges up to this number were cleared away.
        self.cleared = 0
        self._calls: list[WireCall] = []
        self._lock = threading.Lock()
        self._seq = 0
        self._listeners: list[Callable[[], object]] = []

    def subscribe(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener()` after each call that is no look-up, in the caller's thread; return what ends it."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return stop

    def tell(self) -> None:
        """Tell the listeners that something has changed. What one of them raises is logged, and stops nobody."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener()
            except Exception:  # noqa: BLE001 - a panel's trouble is not the caller's
                _log.exception("a listener of the wire failed")

    def record(
        self,
        service: str,
        action: str,
        params: Mapping[str, Any],
        *,
        status: int,
        request_id: str,
        started: float,
        caller: str = "",
        error: str = "",
        check: bool = False,
    ) -> None:
        """Add a call; `started` is a `time.perf_counter()` reading."""
        masked = {name: redact(value) for name, value in params.items() if value is not None}
        ms = (time.perf_counter() - started) * 1000
        with self._lock:
            self._seq += 1
            self._calls.append(
                WireCall(
                    self._seq,
                    time.time(),
                    service,
                    action,
                    masked,
                    status,
                    request_id,
                    round(ms, 1),
                    caller,
                    redact(error),
                    check,
                )
            )
            del self._calls[:-_KEEP]
        if not check:
            self.tell()

    @property
    def mark(self) -> int:
        """A place in the record, for `since`."""
        return self._seq

    def since(self, mark: int = 0, *, explain: bool = False) -> list[WireCall]:
        """Return the calls after `mark`; with `explain`, each with the sandbox's decision."""
        with self._lock:
            calls = [call for call in self._calls if call.seq > mark]
        if not explain:
            return calls
        if len(calls) <= _FEW or self._entries is None:
            return [self._explained(call) for call in calls]
        found: dict[str, Mapping[str, Any]] = {}
        with contextlib.suppress(RamroleError):
            found = {entry.get("request_id", ""): entry for entry in self._read(0, _MOST_ENTRIES)}
        return [_with(call, found.get(call.request_id)) for call in calls]

    def _explained(self, call: WireCall) -> WireCall:
        entry = None
        if self._journal and call.request_id:
            with contextlib.suppress(RamroleError):  # the sandbox has ended: the call was made all the same
                entry = self._journal(call.request_id)
        return _with(call, entry)

    # -- every exchange --------------------------------------------------------------------------------------

    @property
    def sees_everyone(self) -> bool:
        """Whether the exchanges of other programs show too: in the sandbox they do."""
        return self._entries is not None

    def exchanges(self, since: int = 0, *, limit: int = _KEEP) -> list[WireCall]:
        """Return up to `limit` exchanges after number `since`, newest last.

        In the sandbox they are everybody's: other sessions, SDKs on an instance, terminals. Live they are the calls of this
        session. `seq` counts them; `clear` hides those before it. Raises SandboxNotRunning.
        """
        if self._entries is None:
            return [call for call in self.since(since) if call.seq > self.cleared][-limit:]
        own = self.by_request()
        found = self._read(max(since, self.cleared), limit)
        return [joined(_from(entry), own) for entry in found]

    def by_request(self) -> dict[str, WireCall]:
        """Return this session's calls by their request ids."""
        return {call.request_id: call for call in self.since() if call.request_id}

    def wait_for_more(self, since: int, seconds: float) -> bool:
        """Wait for an exchange after number `since` that anybody makes; tell whether one came. Live: none is told of."""
        return self._entries is not None and bool(self._entries(since, wait=seconds)["entries"])

    def _read(self, since: int, limit: int) -> list[Mapping[str, Any]]:
        """Read the journal's newest `limit` entries after a number, page by page."""
        assert self._entries is not None  # noqa: S101 - asked only where there is one
        found: list[Mapping[str, Any]] = []
        at = max(since, int(self._entries(_BEYOND)["last"]) - limit)
        while page := self._entries(at)["entries"]:
            found += page
            at = int(page[-1]["seq"])
            if len(page) < _PAGE:
                break
        return found[-limit:]

    def clear(self) -> None:
        """Forget the calls recorded so far. Raises SandboxNotRunning: then nothing is forgotten."""
        last = int(self._entries(_BEYOND)["last"]) if self._entries is not None else None
        with self._lock:
            self._calls.clear()
            self.cleared = self._seq if last is None else last
        self.tell()

    def last(self) -> WireCall:
        """Return the last call that was no look-up, opened. Raises NotFound where there is none yet."""
        calls = self.since()
        real = [call for call in calls if not call.check] or calls
        if not real:
            raise NotFound("No call has been made yet.", next_step="make one, such as cloud.identity()")
        return self._explained(real[-1])

    @overload
    def __getitem__(self, at: int) -> WireCall: ...

    @overload
    def __getitem__(self, at: slice) -> list[WireCall]: ...

    def __getitem__(self, at: int | slice) -> WireCall | list[WireCall]:
        calls = self.since()
        if isinstance(at, slice):
            return [self._explained(call) for call in calls[at]]
        if not -len(calls) <= at < len(calls):
            raise IndexError(
                f"there are {len(calls)} calls: cloud.wire[0] to cloud.wire[{max(0, len(calls) - 1)}]"
            )
        return self._explained(calls[at])

    def __iter__(self) -> Iterator[WireCall]:
        return iter(self.since(explain=True))

    def __len__(self) -> int:
        return len(self._calls)

    def _rows(self, *, check: bool) -> list[list[str]]:
        rows = []
        for call in self.since(explain=True):
            if call.check == check:
                why = _why(call)
                rows.append(
                    [f"{call.service}:{call.action}", str(call.status), f"{call.ms:.0f} ms", call.caller, why]
                )
        return rows

    def __repr__(self) -> str:
        table = text_table(_HEAD, self._rows(check=False)) or "no calls yet"
        checks = len(self._rows(check=True))
        return f"{table}\n({checks:,} {FOLDED})" if checks else table

    def _repr_html_(self) -> str:
        checks = self._rows(check=True)
        return html_table(
            _HEAD,
            self._rows(check=False),
            title="On the wire",
            empty="no calls yet",
            folded=checks,
            folded_title=f"{len(checks):,} {FOLDED}",
        )


def _why(call: WireCall) -> str:
    """Say what decided. Where every policy allowed it and the service refused all the same, that is what counts."""
    decisions = call.decision.get("all") or []
    if call.status >= 400 and decisions and all(row.get("outcome") == "ALLOW" for row in decisions):
        return f"allowed, then refused: {call.entry.get('error') or call.error}"
    return str(call.decision.get("because", "")) or call.error


def joined(call: WireCall, own: Mapping[str, WireCall]) -> WireCall:
    """Return an exchange with what this session knows of it: who it says signed it, and whether it was a look-up."""
    mine = own.get(call.request_id)
    if mine is None or (mine.caller, mine.check) == (call.caller, call.check):
        return call
    return replace(call, caller=mine.caller, check=mine.check)


def _with(call: WireCall, entry: Mapping[str, Any] | None) -> WireCall:
    """Return a call with the sandbox's journal entry of it."""
    return replace(call, decision=_decision(entry), entry=entry) if entry else call


def _decision(entry: Mapping[str, Any]) -> dict[str, Any]:
    decisions = entry.get("decisions") or []
    decision = dict(decisions[-1]) if decisions else {}
    return {**decision, "principal": entry.get("principal", ""), "all": decisions}


def _from(entry: Mapping[str, Any]) -> WireCall:
    """Return a journal entry as a call."""
    operation = entry.get("operation") or f"{entry['method']} {entry.get('url', '')}"
    named = {name: entry[name] for name in ("bucket", "key") if entry.get(name)}
    told = ": ".join(part for part in (str(entry.get("error", "")), str(entry.get("message", ""))) if part)
    return WireCall(
        seq=int(entry["seq"]),
        time=datetime.fromisoformat(entry["time"]).timestamp(),
        service=entry.get("service", ""),
        action=operation,
        params=entry.get("params") or named,
        status=int(entry.get("status", 0)),
        request_id=entry.get("request_id", ""),
        ms=float(entry.get("ms", 0.0)),
        caller=_who(entry),
        error=told,
        decision=_decision(entry),
        entry=entry,
    )


def _who(entry: Mapping[str, Any]) -> str:
    principal = str(entry.get("principal", "")).rpartition(":")[2]
    kind, _, name = principal.partition("/")
    if kind == "assumed-role":
        return f"role {name}"
    if name:
        return name
    return f"on {entry['instance_id']}" if entry.get("instance_id") else "nobody known"
