"""The calls just made: what was asked, of whom, and what came back. In the sandbox, why, too."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import RamroleError
from ..redact import redact
from ..render import html_table, text_table

__all__ = ["Wire", "WireCall"]

_log = logging.getLogger(__name__)

_HEAD = ("call", "status", "time", "signed by", "decided because")

# Enough for any session a person reads; a long batch does not grow the kernel.
_KEEP = 2_000


@dataclass(frozen=True)
class WireCall:
    """One call.

    `ms` is its duration; `caller` whose credential signed it; `check` whether it only looked something up before a
    change; `decision` what the sandbox decided.
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

    @property
    def ok(self) -> bool:
        """Whether the service did what was asked."""
        return 200 <= self.status < 400


class Wire:
    """The recorded calls, oldest first. `journal` finds the sandbox's entry of a request id (live: there is none)."""

    def __init__(self, journal: Callable[[str], Mapping[str, Any] | None] | None = None) -> None:
        self._journal = journal
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
        return [self._explained(call) for call in calls] if explain else calls

    def _explained(self, call: WireCall) -> WireCall:
        entry = None
        if self._journal and call.request_id:
            with contextlib.suppress(RamroleError):  # the sandbox has ended: the call was made all the same
                entry = self._journal(call.request_id)
        if not entry:
            return call
        decisions = entry.get("decisions") or []
        decision = dict(decisions[-1]) if decisions else {}
        decision["principal"] = entry.get("principal", "")
        decision["all"] = decisions
        return WireCall(**{**call.__dict__, "decision": decision})

    def clear(self) -> None:
        """Forget the calls recorded so far."""
        with self._lock:
            self._calls.clear()
        self.tell()

    def __iter__(self) -> Iterator[WireCall]:
        return iter(self.since(explain=True))

    def __len__(self) -> int:
        return len(self._calls)

    def _rows(self, *, check: bool) -> list[list[str]]:
        rows = []
        for call in self.since(explain=True):
            if call.check == check:
                why = str(call.decision.get("because", "")) or call.error
                rows.append(
                    [f"{call.service}:{call.action}", str(call.status), f"{call.ms:.0f} ms", call.caller, why]
                )
        return rows

    def __repr__(self) -> str:
        table = text_table(_HEAD, self._rows(check=False)) or "no calls yet"
        checks = len(self._rows(check=True))
        return f"{table}\n({checks} look-ups before changes are left out)" if checks else table

    def _repr_html_(self) -> str:
        checks = self._rows(check=True)
        return html_table(
            _HEAD,
            self._rows(check=False),
            title="On the wire",
            empty="no calls yet",
            folded=checks,
            folded_title=f"{len(checks)} look-ups before changes: does it exist already, and may the caller do it?",
        )
