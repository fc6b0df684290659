"""What the parts of one session share: calls, ledger, wire, and the gate every change passes."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..endpoints import Endpoints
from ..errors import Cancelled, InputError, ServerFault, ServiceError
from ..ledger import Entry, Ledger
from .calls import Calls
from .preflight import Need, Preflight
from .wire import Wire

__all__ = ["Change", "Context", "asking"]

#: Who asks the user, where it is not the terminal or the cell: given the question, it returns True, False, or None
#: where nobody can be asked. A panel sets it for its own job, so that the question appears in the panel.
asking: contextvars.ContextVar[Callable[[str], bool | None] | None] = contextvars.ContextVar(
    "ramrole_asking", default=None
)


@dataclass(frozen=True)
class Change:
    """A change about to be made: in words, and the permissions it needs."""

    what: str
    needs: tuple[Need, ...] = ()


def _none_given(instance_id: str) -> dict[str, str]:
    raise InputError(
        f"This session has no environment for programs of {instance_id or 'this machine'}.",
        next_step="open one: rr.connect()",
    )


@dataclass
class Context:
    """The shared parts of a session.

    `confirm` is shown a plan (a line per change) before anything is changed and raises ChangeNotConfirmed to refuse;
    the sandbox's agrees to everything. `environment(instance_id)` gives the environment in which a program behaves as on
    that instance: no proxy, key or profile of this computer is in it (empty: as on this machine). `sandbox` is the
    sandbox's controls (live: None), for what can only be seen there.
    """

    endpoints: Endpoints
    region_id: str
    calls: Calls
    wire: Wire
    ledger: Ledger
    confirm: Callable[[Sequence[str]], None]
    journal: Callable[[str], Any] | None = None
    environment: Callable[[str], dict[str, str]] = _none_given
    sandbox: Any = field(default=None, repr=False)
    tags: dict[str, str] = field(default_factory=dict)
    _preflight: Preflight | None = None

    @property
    def preflight(self) -> Preflight:
        """The caller's own permissions."""
        if self._preflight is None:
            self._preflight = Preflight(self.calls)
        return self._preflight

    def before(self, *changes: Change) -> None:
        """Check the caller's permissions, then show the plan. Raises PreflightRefused or ChangeNotConfirmed."""
        for change in changes:
            self.preflight.check(change.what, change.needs)
        self.confirm([change.what for change in changes])

    @contextlib.contextmanager
    def creating(self, kind: str, name: str, **details: Any) -> Iterator[Entry]:
        """Write the ledger around a call that creates something: before it, and after it how it ended."""
        entry = self.ledger.intend(kind, name, **details)
        try:
            yield entry
        except ServerFault:
            raise  # no answer is no refusal: it may exist, so the entry stays open
        except (ServiceError, InputError, Cancelled):
            self.ledger.failed(entry)
            raise
        self.ledger.done(entry)

    def gone(self, kind: str, *names: str, **details: Any) -> None:
        """Mark what was just removed by hand as undone in the ledger."""
        wanted = set(names)
        self.ledger.settle(
            undone=[
                entry
                for entry in self.ledger.open_entries()
                if entry.kind == kind
                and entry.name in wanted
                and all(entry.details.get(k) == v for k, v in details.items())
            ]
        )
