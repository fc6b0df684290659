"""The languages, and putting an action into one. A new language is one module here, and one line below."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import cast

from ..errors import InputError, nearest
from . import console, python, shell, terraform
from .actions import Action, steps
from .fragments import Fragment, Language, snake

__all__ = ["LANGUAGES", "PROSE", "all_code", "code"]

# The order is that of the tabs.
_MODULES: Mapping[str, Language] = {
    "python": python,
    "shell": shell,
    "terraform": terraform,
    "console": console,
}

LANGUAGES: Mapping[str, str] = MappingProxyType({name: module.TITLE for name, module in _MODULES.items()})
PROSE = frozenset(name for name, module in _MODULES.items() if module.PROSE)


def code(action: Action, language: str = "python") -> str:
    """Return the code that does the same as an action, in a language of LANGUAGES.

    The values are quoted as the language wants it, so none can become code. Where a language cannot express the action,
    the text says so. Raises InputError: an unknown language, no action, or a value that no program text can hold.
    """
    if language not in _MODULES:
        raise InputError(
            f"There is no code in {language!r}.{nearest(str(language), _MODULES)}",
            next_step=f"the languages: {', '.join(_MODULES)}",
        )
    if not isinstance(action, Action):
        raise InputError(
            f"{action!r} is no action.",
            next_step="for example snippets.DeleteRole('EcsRamRole')",
        )
    module = _MODULES[language]
    return module.script([_fragment(module, step) for step in steps(action)])


def all_code(action: Action) -> dict[str, str]:
    """Return the code in every language, by title, in their order."""
    return {title: code(action, language) for language, title in LANGUAGES.items()}


def _fragment(module: Language, action: Action) -> Fragment:
    for text in _texts(action):
        _check(text)
    kind = type(action).__name__
    write = getattr(module, snake(kind), None)
    if write is None:
        return module.cannot(f"{module.TITLE} has no way to do this ({kind}); the other languages have.")
    return cast("Callable[[Action], Fragment]", write)(action)


def _texts(action: Action) -> Iterator[str]:
    for field in dataclasses.fields(action):  # type: ignore[arg-type]  # every action is a dataclass
        value = getattr(action, field.name)
        yield from value if isinstance(value, tuple) else [value] if isinstance(value, str) else []


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        problem = "half a character (a lone surrogate)"
    else:
        if "\0" not in text:
            return
        problem = "a NUL character"
    raise InputError(
        f"{text!r} holds {problem}, so no program text can hold it.",
        next_step="leave it out; no name or document of the cloud has one",
    )
