"""Security Token Service, API version 2015-04-01.

Source: https://api.aliyun.com/meta/v1/products/Sts/versions/2015-04-01/api-docs.json
"""

from __future__ import annotations

from typing import Any

from ..openapi import Call, operation


@operation("Sts", "GetCallerIdentity")
def get_caller_identity(call: Call) -> dict[str, Any]:
    """Tell the caller who they are; needs no permission. UserId for users only, RoleId for roles only."""
    who = call.principal
    return {
        "IdentityType": who.kind,
        "AccountId": who.account_id,
        "PrincipalId": who.principal_id,
        ("UserId" if who.kind == "RAMUser" else "RoleId"): who.id,
        "Arn": who.arn,
    }
