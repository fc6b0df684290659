"""Panels: the library with buttons. Each is a thin layer over public functions, and has an HTML and a plain-text form.

    >>> import ramrole_nb as rr
    >>> rr.widgets.RolePanel(cloud, name="EcsRamRole")       # clicking "Create role" is cloud.roles.create("EcsRamRole")

Only this part of the package imports ipywidgets and anywidget. Each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import nearest

if TYPE_CHECKING:
    from .panel import Panel
    from .policy import PolicyPanel
    from .role import RolePanel

__all__ = ["Panel", "PolicyPanel", "RolePanel"]

_HOMES = {"Panel": ".panel", "PolicyPanel": ".policy", "RolePanel": ".role"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"ramrole_nb.widgets has no {name!r}.{nearest(name, __all__)}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
