"""ramrole_nb: Alibaba Cloud ECS instance RAM roles, to do, see, break and repair in a notebook.

    >>> import ramrole_nb as rr
    >>> cloud = rr.connect()                          # a local sandbox; rr.connect("live") for Alibaba Cloud
    >>> role = cloud.roles.create("EcsRamRole")
    >>> role.grant("AliyunOSSReadOnlyAccess")
    >>> vm = cloud.instances["web-1"].attach(role)
    >>> cloud.buckets["sandbox-photos"].using(vm).download("testfolder/example.png")

Importing it loads no SDK, opens no socket and starts no thread: each name is resolved when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import errors
from ._version import __version__

# These two share their module's name, so they are bound at once (both modules are light).
from .connect import connect
from .redact import redact

if TYPE_CHECKING:
    from . import page, policy, snippets, widgets
    from .doctor.decode import explain
    from .doctor.diagnose import diagnose
    from .done import code
    from .expected import show_error
    from .jobs import Job
    from .lessons import lesson
    from .sandbox import Sandbox
    from .training import gym

__all__ = [
    "Job",
    "Sandbox",
    "__version__",
    "code",
    "connect",
    "diagnose",
    "errors",
    "explain",
    "gym",
    "lesson",
    "page",
    "policy",
    "redact",
    "show_error",
    "snippets",
    "widgets",
]

_HOMES = {
    "Job": ".jobs",
    "Sandbox": ".sandbox",
    "code": ".done",
    "diagnose": ".doctor.diagnose",
    "explain": ".doctor.decode",
    "gym": ".training",
    "lesson": ".lessons",
    "show_error": ".expected",
}
_MODULES = ("page", "policy", "snippets", "widgets")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value: Any = getattr(importlib.import_module(_HOMES[name], __name__), name)
    elif name in _MODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"ramrole_nb has no {name!r}.{errors.nearest(name, __all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
