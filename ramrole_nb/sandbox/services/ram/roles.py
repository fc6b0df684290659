"""Roles: CreateRole, GetRole, UpdateRole, DeleteRole, ListRoles.

Source: https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json
"""

from __future__ import annotations

import secrets
import sqlite3
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import (
    check_description,
    check_document,
    check_role_name,
    find_role,
    page,
    role_arn,
    role_resource,
    stamp,
    tagged_as_wanted,
    tags,
    tags_shown,
)

# Source: https://www.alibabacloud.com/help/en/ram/product-overview/limits
MAX_ROLES = 1000
# The limit of a trust policy is not documented as a number; a custom policy's is taken.
MAX_TRUST_POLICY = 6144


def _shown(
    call: Call, row: sqlite3.Row, *, with_trust: bool = True, with_update: bool = True
) -> dict[str, Any]:
    role: dict[str, Any] = {
        "RoleId": row["role_id"],
        "RoleName": row["name"],
        "Arn": role_arn(call.account_id, row["name"]),
        "Description": row["description"],
    }
    if with_trust:
        role["AssumeRolePolicyDocument"] = row["trust_policy"]
    role["MaxSessionDuration"] = row["max_session_duration"]
    role["CreateDate"] = row["created"]
    if with_update:
        role["UpdateDate"] = row["updated"]
    return {**role, **tags_shown(row["tags"])}


def _session_duration(call: Call, name: str, default: int) -> int:
    return call.integer(name, default, low=3600, high=43_200)


@operation(
    "Ram",
    "CreateRole",
    resources=lambda call: [f"acs:ram:*:{call.account_id}:role/*"],
    optional=["RoleName", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Tag"],
    refused=["AllowConsoleLogin"],
)
def create_role(call: Call) -> dict[str, Any]:
    """Create a role. Who may take it is the trust policy's to say."""
    name = check_role_name(call.get("RoleName"))
    trust = check_document(
        call.get("AssumeRolePolicyDocument"), "trust", "AssumeRolePolicyDocument", MAX_TRUST_POLICY
    )
    description = check_description(call)
    duration = _session_duration(call, "MaxSessionDuration", 3600)
    role_tags = tags(call)
    with call.store.transaction():
        if call.store.one("SELECT 1 FROM roles WHERE name=?", name):
            raise OpenApiError(409, "EntityAlreadyExists.Role", "The role does already EXIST.")
        count = call.store.one("SELECT count(*) AS n FROM roles")
        if count and count["n"] >= MAX_ROLES:
            raise OpenApiError(409, "LimitExceeded.Role", "The count of roles beyond the current limits.")
        now = stamp()
        call.store.run(
            "INSERT INTO roles VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            name,
            f"3{secrets.randbelow(10**17):017d}",
            description,
            trust,
            duration,
            role_tags,
            now,
            now,
        )
    call.store.permissions_changed()
    return {"Role": _shown(call, find_role(call.store, name), with_update=False)}


@operation("Ram", "GetRole", resources=role_resource, optional=["RoleName"])
def get_role(call: Call) -> dict[str, Any]:
    """Return a role with its trust policy."""
    return {"Role": _shown(call, find_role(call.store, call.get("RoleName")))}


@operation(
    "Ram",
    "UpdateRole",
    resources=role_resource,
    optional=["RoleName", "NewAssumeRolePolicyDocument", "NewDescription", "NewMaxSessionDuration"],
    refused=["NewAllowConsoleLogin"],
)
def update_role(call: Call) -> dict[str, Any]:
    """Change trust policy, description or session duration; what is not given stays."""
    row = find_role(call.store, call.get("RoleName"))
    trust = row["trust_policy"]
    if call.get("NewAssumeRolePolicyDocument"):
        trust = check_document(
            call.get("NewAssumeRolePolicyDocument"), "trust", "NewAssumeRolePolicyDocument", MAX_TRUST_POLICY
        )
    description = (
        check_description(call, "NewDescription") if "NewDescription" in call.params else row["description"]
    )
    duration = _session_duration(call, "NewMaxSessionDuration", row["max_session_duration"])
    call.store.run(
        "UPDATE roles SET trust_policy=?, description=?, max_session_duration=?, updated=? WHERE name=?",
        trust,
        description,
        duration,
        stamp(),
        row["name"],
    )
    call.store.permissions_changed()
    return {"Role": _shown(call, find_role(call.store, row["name"]))}


@operation("Ram", "DeleteRole", resources=role_resource, optional=["RoleName"])
def delete_role(call: Call) -> dict[str, Any]:
    """Delete a role that holds no policy. Its sessions lose every permission at once.

    A role still attached to an instance can be deleted; that is ours (not found in the documentation).
    """
    with call.store.transaction():
        row = find_role(call.store, call.get("RoleName"))
        if call.store.one(
            "SELECT 1 FROM policy_attachments WHERE entity_type='Role' AND entity_name=?", row["name"]
        ):
            raise OpenApiError(
                409,
                "DeleteConflict.Role.Policy",
                "The role CAN NOT has any attached policy while deleting the role.",
            )
        call.store.run("DELETE FROM roles WHERE name=?", row["name"])
    call.store.permissions_changed()
    return {}


@operation(
    "Ram",
    "ListRoles",
    resources=lambda call: [f"acs:ram:*:{call.account_id}:role/*"],
    optional=["Marker", "MaxItems", "Tag"],
)
def list_roles(call: Call) -> dict[str, Any]:
    """List roles by name, a page at a time; trust policies are left out, as in the documented answer."""
    tags(call)  # refused, where it is wrong, also while there is nothing to compare with
    wanted = [
        r for r in call.store.all("SELECT * FROM roles ORDER BY name") if tagged_as_wanted(call, r["tags"])
    ]
    rows, fields = page(call, wanted)
    return {**fields, "Roles": {"Role": [_shown(call, row, with_trust=False) for row in rows]}}
