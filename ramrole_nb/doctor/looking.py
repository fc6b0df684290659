"""One diagnosis' looking: the session, what was seen so far, and a budget for each look.

What comes too late is not used, and no look changes anything.
"""

from __future__ import annotations

import contextvars
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..cloud.calls import Calls, checking
from ..cloud.context import Context
from ..cloud.instances import BoundInstance
from ..cloud.live import LiveCredentials
from ..errors import RamroleError
from ..models import StsCredentials
from ..redact import redact
from .evidence import Answer, Asked, Evidence
from .findings import Probe

__all__ = ["TIMEOUTS_MS", "Look", "Step", "Told", "always", "no_session", "state_of"]

# Milliseconds for connecting and for each answer: below the sessions', so that a diagnosis ends while one waits for it.
TIMEOUTS_MS = (1_500, 2_500)


class Look:
    """One diagnosis' looking: the session, what is asked, what was seen so far, and the clock."""

    def __init__(
        self,
        context: Context,
        asked: Asked,
        *,
        vm: BoundInstance | None = None,
        provider: Any = None,
        python: str = "",
        front_end: str = "",
    ) -> None:
        self._full = context
        endpoints = context.endpoints
        calls = context.calls
        short = Calls(endpoints, calls.region_id, calls.provider, context.wire, calls.caller, TIMEOUTS_MS)
        self.context = replace(context, calls=short, _preflight=None)
        self.vm = vm
        self.provider = provider
        self.python, self.front_end = python, front_end
        self.seen = Evidence(asked)
        self.seen.direct = not endpoints.proxy
        chain = calls.provider
        self.seen.default_chain = isinstance(chain, LiveCredentials) and chain.is_default
        self.seen.their_provider = (
            f"{type(provider).__module__}.{type(provider).__qualname__}" if provider else ""
        )
        self.seen.secure = endpoints.scheme == "https"
        # The machine itself is meant where no instance is named and the metadata service may be asked.
        self.seen.here = endpoints.metadata_direct and not asked.instance and vm is None
        if vm is not None:
            self.seen.instance_id, self.seen.region = vm.instance_id, vm.region_id
        elif asked.instance in endpoints.instance_proxies or (
            endpoints.metadata_direct and re.fullmatch(r"i-[A-Za-z0-9]{4,64}", asked.instance)
        ):
            self.seen.instance_id = asked.instance
        self.fetched: StsCredentials | None = None
        self.held: StsCredentials | None = None

    def run(self, step: Step, seconds: float) -> Probe:
        """Run one step within its budget; what comes later is dropped."""
        started = time.perf_counter()
        if reason := step.skip(self):
            return Probe(step.name, "skipped", reason)
        if seconds <= 0.05:
            self.seen.late.append(step.name)
            return Probe(step.name, "unknown", "no time was left")
        box: list[Any] = []

        def work() -> None:
            try:
                with checking():
                    box.append(step.look(self))
            except RamroleError as error:
                box.append(error)
            except Exception as error:  # noqa: BLE001 - a probe that fails is a fact, not an end
                box.append(RamroleError(f"{type(error).__name__}: {redact(error)}"))

        here = contextvars.copy_context()
        thread = threading.Thread(target=here.run, args=(work,), name="ramrole-doctor", daemon=True)
        thread.start()
        thread.join(seconds)
        ms = (time.perf_counter() - started) * 1000
        if not box:
            self.seen.late.append(step.name)
            return Probe(step.name, "unknown", f"no answer within {seconds:.1f} s", ms)
        told = box[0]
        if isinstance(told, RamroleError):
            self.seen.late.append(step.name)
            return Probe(step.name, "unknown", redact(told.what), ms)
        state, saw, fields = told
        for name, value in fields.items():
            setattr(self if name in ("fetched", "held", "vm") else self.seen, name, value)
        return Probe(step.name, state, redact(saw), ms)


Told = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """One probe: its name, its budget in seconds, why it is left out (empty: it is not), and the look itself."""

    name: str
    seconds: float
    skip: Callable[[Look], str]
    look: Callable[[Look], Told]


def always(_: Look) -> str:
    """Never leave the look out."""
    return ""


def state_of(answer: Answer) -> str:
    """Return a probe's state for an answer."""
    return "ok" if answer.ok else "unknown" if answer.silent and not answer.cause else "bad"


def no_session(look: Look) -> str:
    """Return why the session's calls are left out; empty: they work."""
    session = look.seen.session
    if session is None:
        return "the session was not looked at"
    return "" if session.ok else "the session's own calls fail"
