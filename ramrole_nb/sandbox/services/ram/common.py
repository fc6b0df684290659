"""What RAM's operations share: names, documents, ARNs, paging, and the look-ups that answer 404."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sqlite3
import time
from typing import Any, Literal, TypeVar

from ....policy import SYSTEM_POLICIES, MalformedPolicyDocument, parse_policy
from ...errors import OpenApiError
from ...openapi import Call, read_json
from ...store import Store

__all__ = [
    "check_description",
    "check_document",
    "check_policy_name",
    "check_policy_type",
    "check_role_name",
    "check_version_id",
    "find_policy",
    "find_role",
    "page",
    "policy_arn",
    "policy_resource",
    "role_arn",
    "role_resource",
    "stamp",
    "tagged_as_wanted",
    "tags",
    "tags_shown",
]

T = TypeVar("T")


def stamp() -> str:
    """Return the current time as RAM writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def role_arn(account_id: str, name: str) -> str:
    """Return a role's ARN as answers show it."""
    return f"acs:ram::{account_id}:role/{name}"


def role_resource(call: Call) -> list[str]:
    """Return the ARN that permissions on the role of this call are checked on."""
    return [f"acs:ram:*:{call.account_id}:role/{call.get('RoleName') or '*'}"]


def policy_arn(call: Call, policy_type: str, name: str) -> str:
    """Return the ARN that permissions on a policy are checked on.

    The form for system policies (account segment `system`) is ours: not found in the documentation.
    """
    owner = "system" if policy_type == "System" else call.account_id
    return f"acs:ram:*:{owner}:policy/{name or '*'}"


def policy_resource(call: Call) -> list[str]:
    """Return the ARN that permissions on the policy of this call are checked on."""
    return [policy_arn(call, call.get("PolicyType", "Custom"), call.get("PolicyName"))]


def check_version_id(call: Call) -> str:
    """Return the id of a policy version: `v1`, `v2` and so on."""
    version_id = call.get("VersionId")
    if not re.fullmatch(r"v[1-9]\d{0,9}", version_id):
        raise OpenApiError(
            400,
            "InvalidParameter.VersionId.Format",
            'The format of the parameter - "VersionId" is incorrect.',
        )
    return version_id


def check_role_name(name: str) -> str:
    """Return a legal role name: 1 to 64 letters, digits, `.` and `-`.

    Source: https://api.aliyun.com/meta/v1/products/Ram/versions/2015-05-01/api-docs.json
    """
    if not re.fullmatch(r"[A-Za-z0-9.\-]*", name):
        raise OpenApiError(
            400,
            "InvalidParameter.RoleName.InvalidChars",
            'The parameter - "RoleName" contains invalid chars.',
        )
    if not 1 <= len(name) <= 64:
        raise OpenApiError(
            400, "InvalidParameter.RoleName.Length", 'The parameter - "RoleName" beyond the length limit.'
        )
    return name


def check_policy_name(name: str) -> str:
    """Return a legal policy name: 1 to 128 letters, digits and `-`. The message's typo is the vendor's."""
    if not re.fullmatch(r"[A-Za-z0-9\-]*", name):
        raise OpenApiError(
            400,
            "InvalidParameter.PolicyName.InvalidChars",
            'The parameter - "PolicyNam" contains invalid chars.',
        )
    if not 1 <= len(name) <= 128:
        raise OpenApiError(
            400, "InvalidParameter.PolicyName.Length", 'The parameter - "PolicyName" beyond the length limit.'
        )
    return name


def check_policy_type(text: str) -> str:
    """Return `System` or `Custom`."""
    if text not in ("System", "Custom"):
        raise OpenApiError(400, "InvalidParameter.PolicyType", 'The parameter - "PolicyType" is incorrect.')
    return text


def check_description(call: Call, name: str = "Description") -> str:
    """Return a description of at most 1024 characters."""
    text = call.get(name)
    if len(text) > 1024:
        raise OpenApiError(
            400, f"InvalidParameter.{name}.Length", f'The parameter - "{name}" beyond the length limit.'
        )
    return text


def check_document(text: str, kind: Literal["identity", "trust"], param: str, limit: int) -> str:
    """Return a policy document as sent, if it is well formed and not too long."""
    if len(text) > limit:
        raise OpenApiError(
            400, f"InvalidParameter.{param}.Length", f'The parameter - "{param}" beyond the length limit.'
        )
    try:
        parse_policy(text, kind=kind)
    except MalformedPolicyDocument as error:
        raise OpenApiError(400, "MalformedPolicyDocument", error.message) from None
    return text


def find_role(store: Store, name: str) -> sqlite3.Row:
    """Return a role's row, or raise EntityNotExist.Role."""
    row = store.one("SELECT * FROM roles WHERE name=?", check_role_name(name))
    if row is None:
        raise OpenApiError(404, "EntityNotExist.Role", "The role does not exist.")
    return row


def find_policy(store: Store, policy_type: str, name: str) -> dict[str, Any]:
    """Return a policy's fields, or raise EntityNotExist.Policy."""
    check_policy_type(policy_type)
    check_policy_name(name)
    count = store.one(
        "SELECT count(*) AS n FROM policy_attachments WHERE policy_type=? AND policy_name=?",
        policy_type,
        name,
    )
    attached = count["n"] if count else 0
    if policy_type == "System" and name in SYSTEM_POLICIES:
        system = SYSTEM_POLICIES[name]
        return {
            "PolicyName": name,
            "PolicyType": "System",
            "Description": system.description,
            "DefaultVersion": system.version,
            "AttachmentCount": attached,
            "CreateDate": system.create_date,
            "UpdateDate": system.update_date,
        }
    row = store.one("SELECT * FROM policies WHERE name=?", name) if policy_type == "Custom" else None
    if row is None:
        raise OpenApiError(404, "EntityNotExist.Policy", "The policy does not exist.")
    return {
        "PolicyName": name,
        "PolicyType": "Custom",
        "Description": row["description"],
        "DefaultVersion": row["default_version"],
        "AttachmentCount": attached,
        "CreateDate": row["created"],
        "UpdateDate": row["updated"],
    }


def page(call: Call, items: list[T]) -> tuple[list[T], dict[str, Any]]:
    """Cut a list by Marker and MaxItems (1 to 1000, default 100); return the cut and the paging fields."""
    size = call.integer("MaxItems", 100, low=1, high=1000)
    marker = call.get("Marker")
    start = 0
    if marker:
        try:
            start = int(base64.urlsafe_b64decode(marker.encode()).decode())
        except (ValueError, binascii.Error):
            raise OpenApiError(
                400, "InvalidParameter.Marker", 'The parameter - "Marker" is incorrect.'
            ) from None
        if not 0 <= start <= len(items):
            raise OpenApiError(400, "InvalidParameter.Marker", 'The parameter - "Marker" is incorrect.')
    end = start + size
    fields: dict[str, Any] = {"IsTruncated": end < len(items)}
    if end < len(items):
        fields["Marker"] = base64.urlsafe_b64encode(str(end).encode()).decode()
    return items[start:end], fields


def tags(call: Call) -> str:
    """Return the Tag parameter as compact JSON, or raise if it is not a list of Key/Value."""
    text = call.get("Tag")
    if not text:
        return "[]"
    try:
        given = read_json(text)
        pairs = [{"Key": str(tag["Key"]), "Value": str(tag.get("Value", ""))} for tag in given]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise OpenApiError(400, "InvalidParameter.Tag", 'The parameter - "Tag" is incorrect.') from None
    return json.dumps(pairs, separators=(",", ":"), ensure_ascii=False)


def tagged_as_wanted(call: Call, stored: str) -> bool:
    """Tell whether stored tags hold every tag that a list's Tag parameter asks for (no value: any value).

    Source: the SDK's ListRolesRequest and ListPoliciesRequest (alibabacloud_ram20150501 1.3.0).
    """
    held = {tag["Key"]: tag["Value"] for tag in json.loads(stored)}
    wanted = json.loads(tags(call))
    return all(tag["Key"] in held and tag["Value"] in ("", held[tag["Key"]]) for tag in wanted)


def tags_shown(stored: str) -> dict[str, Any]:
    """Return the Tags field of an answer; nothing where there are none."""
    held = [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in json.loads(stored)]
    return {"Tags": {"Tag": held}} if held else {}
