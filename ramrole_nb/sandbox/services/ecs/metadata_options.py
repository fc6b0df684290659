"""ModifyInstanceMetadataOptions: metadata on or off, and security hardening mode only.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-modifyinstancemetadataoptions
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import facts, find_instances, instance_arn


@operation(
    "Ecs",
    "ModifyInstanceMetadataOptions",
    required=["RegionId", "HttpEndpoint"],
    optional=["InstanceId", "HttpTokens", "HttpPutResponseHopLimit", "InstanceMetadataTags"],
    resources=lambda call: [instance_arn(call, call.get("InstanceId") or "*")],
)
def modify_instance_metadata_options(call: Call) -> dict[str, Any]:
    """Change the options of one instance; what is not given stays."""
    row = find_instances(call, [call.get("InstanceId")], message="The specified InstanceId is not found.")[0]
    endpoint = call.get("HttpEndpoint")
    if endpoint not in ("enabled", "disabled"):
        raise OpenApiError(
            400,
            "InvalidHttpEndpoint.NotSupported",
            "The specified HttpEndpoint not supported, you can use enabled(default) or disabled.",
        )
    tokens = call.get("HttpTokens") or row["http_tokens"]
    # Windows instances cannot be forced to hardened-only mode; that the API refuses it with this code is ours.
    windows = facts(row)["os_type"] == "windows"
    if tokens not in ("optional", "required") or (tokens == "required" and windows):
        raise OpenApiError(
            400,
            "InvalidHttpTokens.NotSupported",
            "The specified HttpTokens not supported, you can use optional(default) or required.",
        )
    hops = call.get("HttpPutResponseHopLimit") or str(row["hop_limit"])
    if not re.fullmatch(r"\d{1,3}", hops) or (
        "HttpPutResponseHopLimit" in call.params and not 1 <= int(hops) <= 64
    ):
        raise OpenApiError(
            400,
            "InvalidHttpPutResponseHopLimit.NotSupported",
            "The specified HttpPutResponseHopLimit not supported, more than 1 and less than 64 is reasonable.",
        )
    tags = call.get("InstanceMetadataTags") or row["metadata_tags"]
    if tags not in ("enabled", "disabled"):
        raise OpenApiError(
            400,
            "InvalidInstanceMetadataTags.NotSupported",
            "The specified InstanceMetadataTags not supported.",
        )
    call.store.run(
        "UPDATE instances SET http_endpoint=?, http_tokens=?, hop_limit=?, metadata_tags=? WHERE instance_id=?",
        endpoint,
        tokens,
        int(hops),
        tags,
        row["instance_id"],
    )
    return {}
