"""DecodeDiagnosticMessage: why a request was refused, from the message in its AccessDeniedDetail.

Source: https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage
"""

from __future__ import annotations

import time
from typing import Any

from ....policy import Outcome
from ... import diagnosis
from ...authorize import denied_detail
from ...errors import OpenApiError
from ...openapi import Call, operation

ACTION = "ram:DecodeDiagnosticMessage"


@operation("Ram", "DecodeDiagnosticMessage", required=["EncodedDiagnosticMessage"])
def decode_diagnostic_message(call: Call) -> dict[str, Any]:
    """Open the message of any refusal by this sandbox's RAM, STS, ECS or OSS; needs the permission on `*`."""
    decision = call.may(ACTION, "*")
    if decision.outcome is not Outcome.ALLOW:
        raise OpenApiError(
            403,
            "NoPermission",
            "You do not have the required permissions.",
            detail=denied_detail(call.principal, ACTION, decision),
        )
    key = diagnosis.sealing_key(call.store.get_meta("master"))
    found = diagnosis.unsealed(key, call.get("EncodedDiagnosticMessage"))
    if found is None:
        raise OpenApiError(404, "EntityNotExist", "The specific DecodedDiagnosticMessage cannot be found.")
    moment, told = found
    if moment + diagnosis.LIFETIME_SECONDS < time.time():
        raise OpenApiError(400, "EncodedMessageExpire", "The EncodedDiagnosticMessage is expired.")
    return {"DecodedDiagnosticMessage": told}
