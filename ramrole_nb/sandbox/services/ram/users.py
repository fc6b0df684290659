"""What a caller's pre-flight reads of users and groups: GetUser and three lists of policies and groups.

Source: https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call, operation
from .policies import attached_policies


def _user_resource(call: Call) -> list[str]:
    return [f"acs:ram:*:{call.account_id}:user/{call.get('UserName') or '*'}"]


def _group_resource(call: Call) -> list[str]:
    return [f"acs:ram:*:{call.account_id}:group/{call.get('GroupName') or '*'}"]


def _find_user(call: Call) -> sqlite3.Row:
    name = call.get("UserName")
    if not re.fullmatch(r"[A-Za-z0-9._@\-]*", name):
        raise OpenApiError(
            400,
            "InvalidParameter.UserName.InvalidChars",
            'The parameter - "UserName" contains invalid chars.',
        )
    row = call.store.one("SELECT * FROM users WHERE name=?", name)
    if row is None:
        raise OpenApiError(404, "EntityNotExist.User", "The user does not exist.")
    return row


@operation("Ram", "GetUser", resources=_user_resource, optional=["UserName"])
def get_user(call: Call) -> dict[str, Any]:
    """Return a user."""
    row = _find_user(call)
    return {
        "User": {
            "UserId": row["user_id"],
            "UserName": row["name"],
            "DisplayName": row["display_name"],
            "Comments": row["comments"],
            "CreateDate": row["created"],
            "UpdateDate": row["created"],
        }
    }


@operation("Ram", "ListPoliciesForUser", resources=_user_resource, optional=["UserName"])
def list_policies_for_user(call: Call) -> dict[str, Any]:
    """List the policies attached to a user itself."""
    return attached_policies(call, "User", _find_user(call)["name"])


@operation("Ram", "ListGroupsForUser", resources=_user_resource, optional=["UserName"])
def list_groups_for_user(call: Call) -> dict[str, Any]:
    """List a user's groups."""
    rows = call.store.all(
        "SELECT g.*, m.joined FROM group_members m JOIN groups g ON g.name = m.group_name WHERE m.user_name=?"
        " ORDER BY g.name",
        _find_user(call)["name"],
    )
    groups = [{"GroupName": r["name"], "Comments": r["comments"], "JoinDate": r["joined"]} for r in rows]
    return {"Groups": {"Group": groups}}


@operation("Ram", "ListPoliciesForGroup", resources=_group_resource, optional=["GroupName"])
def list_policies_for_group(call: Call) -> dict[str, Any]:
    """List the policies attached to a group."""
    name = call.get("GroupName")
    if call.store.one("SELECT 1 FROM groups WHERE name=?", name) is None:
        raise OpenApiError(404, "EntityNotExist.Group", "The group does not exist.")
    return attached_policies(call, "Group", name)
