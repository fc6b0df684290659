"""Undoing what the ledger says this user created, in the order the services accept. May be run again at any time."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import NotFound, RamroleError, ServiceError
from ..ledger import Entry, plan
from ..render import html_table, text_table
from .context import Context
from .credentials import forget_role_of

__all__ = ["CleanUp", "clean_up", "describe", "planned"]


@dataclass(frozen=True)
class CleanUp:
    """What a clean-up did: each entry in words with `done`, `gone already`, or why it failed."""

    results: tuple[tuple[str, str], ...]
    left: int

    @property
    def ok(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0

    def __repr__(self) -> str:
        return text_table(["undo", "result"], self.results) or "nothing to clean up"

    def _repr_html_(self) -> str:
        return html_table(["undo", "result"], self.results, title="Clean-up", empty="nothing to clean up")


def describe(entry: Entry) -> str:
    """Say in words what undoing an entry does."""
    details = entry.details
    words = {
        "attachment": f"detach role {details.get('role', '')} from {entry.name}",
        "grant": f"revoke {entry.name} from role {details.get('role', '')}",
        "policy": f"delete policy {entry.name}",
        "role": f"delete role {entry.name}",
        "object": f"delete oss://{details.get('bucket', '')}/{entry.name}",
    }
    return words.get(entry.kind, f"remove {entry.kind} {entry.name}") + (
        "" if entry.certain else " (if it exists)"
    )


def planned(context: Context) -> list[Entry]:
    """Return the open entries of this mode, account and world, in the order they would be undone."""
    return plan(context.ledger.open_entries())


def clean_up(
    context: Context,
    progress: Callable[[int, int, str], None] | None = None,
    *,
    only: Callable[[Entry], bool] | None = None,
) -> CleanUp:
    """Undo everything in the ledger (or the entries `only` picks). What fails is said, and stays for the next run.

    Raises ChangeNotConfirmed (live, and nobody agreed) before anything is changed.
    """
    entries = [entry for entry in planned(context) if only is None or only(entry)]
    if not entries:
        return CleanUp((), 0)
    context.confirm([describe(entry) for entry in entries])
    results: list[tuple[str, str]] = []
    left = 0
    for at, entry in enumerate(entries):
        words = describe(entry)
        if progress is not None:
            progress(at, len(entries), words)
        try:
            told = _undo(context, entry)
        except RamroleError as error:
            left += 1
            told = "failed ✕: " + error.what + (f" {error.reason}" if error.reason else "")
        else:
            context.ledger.undone(entry)
        results.append((words, told))
    return CleanUp(tuple(results), left)


def _undo(context: Context, entry: Entry) -> str:
    calls, details = context.calls, entry.details
    try:
        if entry.kind == "attachment":
            return _detach_role(context, entry)
        if entry.kind == "grant":
            calls.ram(
                "DetachPolicyFromRole",
                policy_type=details["policy_type"],
                policy_name=entry.name,
                role_name=details["role"],
            )
        elif entry.kind == "policy":
            calls.ram("DeletePolicy", policy_name=entry.name)
        elif entry.kind == "role":
            _delete_role(context, entry.name)
        elif entry.kind == "object":
            from .objects import BoundBucket

            BoundBucket(context, details["bucket"]).run(
                "DeleteObject", {"key": entry.name}, lambda bucket: bucket.delete_object(entry.name)
            )
        else:
            raise RamroleError(f"The ledger names a {entry.kind!r}, which this version cannot undo.")
    except NotFound:
        return "gone already"
    except KeyError as error:
        raise RamroleError(f"The ledger's entry lacks {error}, so it cannot be undone.") from None
    return "done"


def _detach_role(context: Context, entry: Entry) -> str:
    region_id, role = entry.details["region_id"], entry.details["role"]
    ids = json.dumps([entry.name])
    found = context.calls.ecs("DescribeInstanceRamRole", region_id, instance_ids=ids)
    rows = found.get("InstanceRamRoleSets", {}).get("InstanceRamRoleSet", [])
    if not any(row.get("RamRoleName") == role for row in rows):
        return "gone already"  # detached, or replaced by a role that is not this entry's
    answer = context.calls.ecs("DetachInstanceRamRole", region_id, instance_ids=ids, ram_role_name=role)
    for item in answer["DetachInstanceRamRoleResults"]["DetachInstanceRamRoleResult"]:
        if str(item.get("Success")).lower() == "false":
            raise RamroleError(
                f"{entry.name} still has the role {role!r}.", reason=str(item.get("Message", ""))
            )
    # An instance whose metadata cannot be asked from here raises: nothing is held of it.
    with contextlib.suppress(RamroleError):
        forget_role_of(f"{context.endpoints.metadata_proxy(entry.name)}#{entry.name}")
    return "done"


def _delete_role(context: Context, name: str) -> None:
    """Delete a role of ours; what it was granted elsewhere would keep it, so that is revoked first."""
    listed = context.calls.ram("ListPoliciesForRole", role_name=name).get("Policies", {}).get("Policy", [])
    for policy in listed:
        try:
            context.calls.ram(
                "DetachPolicyFromRole",
                policy_type=policy["PolicyType"],
                policy_name=policy["PolicyName"],
                role_name=name,
            )
        except NotFound:
            continue
    try:
        context.calls.ram("DeleteRole", role_name=name)
    except ServiceError as error:
        if error.code != "EntityNotExist.Role":
            raise
