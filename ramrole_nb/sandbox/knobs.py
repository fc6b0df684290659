"""The knobs: how this local cloud behaves where the real one varies with time and luck."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..errors import InputError, nearest
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
    "clock_skew": Knob(
        0.0, "seconds the sandbox's clock is ahead when it judges request dates", -86_400.0, 86_400.0
    ),
    "run_command": Knob(
        False,
        "RunCommand runs scripts on this computer, as the user who started the sandbox (off: it refuses)",
    ),
}


class Knobs:
    """Typed access to the knobs; the values live in the state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: dict[str, float | bool | None] | None = None

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
