"""The knobs: how this local cloud behaves where the real one varies with time and luck."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from ..errors import InputError, nearest
from .errors import OpenApiError
from .exchange import Exchange
from .faults import Faults, retry_after
from .store import Store

__all__ = ["KNOBS", "Knobs"]


@dataclass(frozen=True)
class Knob:
    """One knob: its default, what it means, and the check of a value."""

    default: float | bool | None
    meaning: str
    lowest: float = 0.0
    highest: float = 43_200.0


KNOBS: dict[str, Knob] = {
    "credential_lifetime": Knob(21_600.0, "seconds an instance role's credential is valid", 0.05),
    "credential_rotation": Knob(
        None, "seconds after which a new one is served (default: lifetime - min(30 min, lifetime/12))", 0.001
    ),
    "metadata_delay": Knob(0.0, "seconds the metadata service waits before each answer", 0.0, 60.0),
    "metadata_token_fails": Knob(False, "the token endpoint answers 500: clients fall back to normal mode"),
    "attach_delay": Knob(
        0.0, "seconds until a role that was attached shows, to the metadata service and in lists", 0.0, 3600.0
    ),
    "throttle_every": Knob(None, "every n-th OpenAPI call is refused: Throttling.User", 1.0, 1_000_000.0),
    "throttle_rate": Knob(
        None, "OpenAPI calls a second beyond which Throttling.User is answered", 0.1, 100_000.0
    ),
    "throttle_retry_after": Knob(
        None, "seconds a throttled answer names in x-acs-retry-after (default: no such header)", 1.0, 3600.0
    ),
    "clock_skew": Knob(
        0.0, "seconds the sandbox's clock is ahead when it judges request dates", -86_400.0, 86_400.0
    ),
    "run_command": Knob(
        False,
        "RunCommand runs scripts on this computer, as the user who started the sandbox (off: it refuses)",
    ),
}


class Knobs:
    """Typed access to the knobs, and to the faults beside them; the values live in the state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, float | bool | None] | None = None
        self.faults = Faults(store)
        self._calls = 0
        self._allowance: tuple[float, float] | None = None  # calls left, and when that was so

    def all(self) -> dict[str, float | bool | None]:
        """Return every knob with its current value."""
        if self._cache is None:
            stored = {row["name"]: json.loads(row["value"]) for row in self._store.all("SELECT * FROM knobs")}
            self._cache = {name: stored.get(name, knob.default) for name, knob in KNOBS.items()}
        return self._cache

    def set(self, **values: float | bool | None) -> None:
        """Set knobs (None: back to the default). Raises InputError, before any is set, on a bad name or value."""
        for name, value in values.items():
            knob = KNOBS.get(name)
            if knob is None:
                raise InputError(
                    f"There is no knob {name!r}.{nearest(name, KNOBS)}",
                    next_step=f"the knobs are: {', '.join(KNOBS)}",
                )
            if value is None:
                continue
            if isinstance(knob.default, bool):
                if not isinstance(value, bool):
                    raise InputError(
                        f"The knob {name} takes true or false, not {value!r}.", next_step=knob.meaning
                    )
            elif isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputError(f"The knob {name} takes a number, not {value!r}.", next_step=knob.meaning)
            elif not knob.lowest <= value <= knob.highest:
                raise InputError(
                    f"The knob {name} takes {knob.lowest:g} to {knob.highest:g}, not {value:g}.",
                    next_step=knob.meaning,
                )
        with self._store.transaction():
            for name, value in values.items():
                self._store.run("DELETE FROM knobs WHERE name=?", name)
                if value is not None:
                    self._store.run("INSERT INTO knobs VALUES (?, ?)", name, json.dumps(value))
        self._cache = None

    def forget(self) -> None:
        """Read the values anew at the next look (after a reset)."""
        self._cache = None
        self._calls, self._allowance = 0, None
        self.faults.forget()

    def number(self, name: str) -> float:
        """Return a numeric knob."""
        return float(self.all()[name] or 0.0)

    def on(self, name: str) -> bool:
        """Return a switch."""
        return bool(self.all()[name])

    @property
    def credential_lifetime(self) -> float:
        """Seconds an instance role's credential is valid."""
        return self.number("credential_lifetime")

    @property
    def credential_rotation(self) -> float:
        """Seconds after which the metadata service serves a new credential."""
        chosen = self.all()["credential_rotation"]
        lifetime = self.credential_lifetime
        return float(chosen) if chosen is not None else lifetime - min(1800.0, lifetime / 12)

    def shows(self, attached: float) -> bool:
        """Tell whether a role attached at this time shows by now."""
        if self.faults.on("attach-not-visible"):
            return False
        return attached + self.number("attach_delay") <= time.time()

    def before_openapi(self, ex: Exchange, product: str) -> None:
        """Refuse an authenticated OpenAPI call where a knob or a fault says so.

        Source: https://help.aliyun.com/document_detail/48054.html (Throttling.User)
        """
        values = self.all()
        self.faults.before_openapi(ex, product, values)
        every, rate = values["throttle_every"], values["throttle_rate"]
        if every is None and rate is None:
            return
        self._calls += 1
        if (every is not None and self._calls % max(1, int(every)) == 0) or (
            rate is not None and not self._within(float(rate))
        ):
            ex.note(throttled=True)
            raise OpenApiError(
                400,
                "Throttling.User",
                "Request was denied due to user flow control.",
                headers=retry_after(values),
            )

    def _within(self, rate: float) -> bool:
        """Take one call out of an allowance that fills up at `rate` a second, to one second's worth at most."""
        now, full = time.monotonic(), max(1.0, rate)
        left, then = self._allowance or (full, now)
        left = min(full, left + (now - then) * rate)
        self._allowance = (left - 1 if left >= 1 else left, now)
        return left >= 1
