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
    from .cleanup import CleanUpPanel
    from .code import CodePanel
    from .credentials import CredentialsPanel
    from .doctor import DoctorPanel
    from .gym import GymPanel
    from .instances import InstancesPanel
    from .lesson import ExercisePanel, LessonPanel
    from .objects import ObjectsPanel
    from .panel import Panel
    from .policy import PolicyPanel
    from .role import RolePanel
    from .start import StartPanel
    from .wire import WirePanel
    from .world import WorldPanel

__all__ = [
    "CleanUpPanel",
    "CodePanel",
    "CredentialsPanel",
    "DoctorPanel",
    "ExercisePanel",
    "GymPanel",
    "InstancesPanel",
    "LessonPanel",
    "ObjectsPanel",
    "Panel",
    "PolicyPanel",
    "RolePanel",
    "StartPanel",
    "WirePanel",
    "WorldPanel",
]

_HOMES = {
    "CleanUpPanel": ".cleanup",
    "CodePanel": ".code",
    "CredentialsPanel": ".credentials",
    "DoctorPanel": ".doctor",
    "ExercisePanel": ".lesson",
    "GymPanel": ".gym",
    "InstancesPanel": ".instances",
    "LessonPanel": ".lesson",
    "ObjectsPanel": ".objects",
    "Panel": ".panel",
    "PolicyPanel": ".policy",
    "RolePanel": ".role",
    "StartPanel": ".start",
    "WirePanel": ".wire",
    "WorldPanel": ".world",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"ramrole_nb.widgets has no {name!r}.{nearest(name, __all__)}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
