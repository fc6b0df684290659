"""What the elements share: where their files are, traits that refuse and mask."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import traitlets

from ...errors import InputError, nearest
from ...redact import redact

STATIC = Path(__file__).parent / "static"


def style(*names: str) -> str:
    """Return the style sheet of an element: what all have, then these."""
    return "".join((STATIC / f"{name}.css").read_text("utf-8") for name in ("common", *names))


def module(name: str) -> str:
    """Return an element's front-end module as text: a path would be watched by anywidget, which then keeps each widget."""
    return (STATIC / name).read_text("utf-8")


# What could be a secret in a piece of code: one run of the characters secrets are made of. The names of the fields
# stay out of it, so that `security_token=credential.security_token`, which teaches, is not masked.
_RUN = re.compile(r"[0-9A-Za-z+/_.-]{8,}={0,2}")


class Refused(InputError, traitlets.TraitError):
    """A value a trait does not take. Also a TraitError: on that alone traitlets puts several held values back."""


def redact_code(code: str) -> str:
    """Return `code` with known secrets, tokens and key ids masked, and the names that speak of them left alone."""
    return _RUN.sub(lambda run: redact(run[0]), code)


class Text(traitlets.Unicode[str, str | bytes]):
    """A text that is shown; secrets in it are masked before it is kept."""

    def validate(self, obj: Any, value: Any) -> str:
        return redact(super().validate(obj, value))


class Code(traitlets.Unicode[str, str | bytes]):
    """Code that is shown and copied; see `redact_code`."""

    def validate(self, obj: Any, value: Any) -> str:
        return redact_code(super().validate(obj, value))


class Choice(traitlets.Unicode[str, str | bytes]):
    """One of a few words; another one raises `Refused`, an `InputError`, with the nearest."""

    def __init__(self, default: str, *, words: tuple[str, ...]) -> None:
        super().__init__(default)
        self.words = words

    def validate(self, obj: Any, value: Any) -> str:
        word = super().validate(obj, value)
        if word not in self.words:
            raise Refused(
                f"{self.name} cannot be {word!r}.{nearest(word, self.words)}",
                next_step=f"use one of {', '.join(map(repr, self.words))}",
            )
        return word


class NotNegative(traitlets.Float[float, float | int]):
    """A number that is 0 or more, and finite: JSON has no infinity."""

    def validate(self, obj: Any, value: Any) -> float:
        number = float(super().validate(obj, value))
        if not 0 <= number < float("inf"):
            raise Refused(f"{self.name} cannot be {number}", next_step="use a number, 0 or more")
        return number
