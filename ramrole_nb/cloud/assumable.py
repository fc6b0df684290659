"""Which roles ECS may assume. ListRoles leaves trust policies out, so each role is asked for; what is known is kept.

Source: https://www.alibabacloud.com/help/en/ram/developer-reference/api-ram-2015-05-01-listroles
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..errors import NotFound
from ..policy import trusts_service
from .context import Context

__all__ = ["Assumable"]

_WORKERS = 6
# The update date has whole seconds: what was read longer after a change than this has no later change in its second.
_SETTLED_SECONDS = 3.0


class Assumable:
    """Tells of listed roles whether their trust policy names ECS, with as few calls as that takes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        # (role id, update date) -> trusts ECS, when it was first read, whether that is known to be the last word.
        self._known: dict[tuple[str, str], tuple[bool, float, bool]] = {}

    def among(self, rows: list[Mapping[str, Any]]) -> dict[str, bool]:
        """Return, for each row of ListRoles, its name and whether ECS may assume it (False too: gone meanwhile)."""
        keys = {row["RoleName"]: (str(row.get("RoleId", "")), str(row.get("UpdateDate", ""))) for row in rows}
        with self._lock:
            self._known = {key: self._known[key] for key in keys.values() if key in self._known}
            sure = {name: held[0] for name, key in keys.items() if (held := self._known.get(key)) and held[2]}
        asked = [name for name in keys if name not in sure]
        contexts = [contextvars.copy_context() for _ in asked]
        if asked:
            with ThreadPoolExecutor(_WORKERS, thread_name_prefix="ramrole-roles") as pool:
                found = pool.map(lambda ctx, name: ctx.run(self._trusts, name), contexts, asked)
                for name, trusts in zip(asked, found, strict=True):
                    self._keep(keys[name], trusts=trusts)
                    sure[name] = trusts
        return {name: sure[name] for name in keys}

    def _trusts(self, name: str) -> bool:
        try:
            role = self._context.calls.ram("GetRole", role_name=name)["Role"]
        except NotFound:
            return False
        return trusts_service(role.get("AssumeRolePolicyDocument", "") or "", "ecs.aliyuncs.com")

    def _keep(self, key: tuple[str, str], *, trusts: bool) -> None:
        now = time.monotonic()
        with self._lock:
            first = self._known.get(key, (trusts, now, False))[1]
            self._known[key] = (trusts, first, now - first > _SETTLED_SECONDS)
