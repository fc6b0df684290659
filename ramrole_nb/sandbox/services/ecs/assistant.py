"""The Cloud Assistant agent of each instance, and DescribeCloudAssistantStatus.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describecloudassistantstatus
"""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import (
    check_region_records,
    facts,
    find_assisted,
    instance_arn,
    repeated_instance_ids,
    token_page,
)

__all__ = ["NEWEST_AGENT", "agent_runs", "agent_version", "too_old_for_hardened_mode"]

# The least versions that work where only security hardening mode is answered. Source:
# https://www.alibabacloud.com/help/en/ecs/user-guide/access-instance-metadata-using-hardened-only-mode
NEWEST_AGENT = {"linux": "2.2.3.857", "windows": "2.1.3.857"}


def agent_version(row: sqlite3.Row) -> str:
    """Return the version of the agent installed on an instance."""
    known = facts(row)
    return str(known.get("agent_version") or NEWEST_AGENT[known["os_type"]])


def too_old_for_hardened_mode(row: sqlite3.Row) -> bool:
    """Tell whether the agent cannot work because it asks the metadata service in normal mode, which is refused."""
    least = NEWEST_AGENT[facts(row)["os_type"]]
    return row["http_tokens"] == "required" and _number(agent_version(row)) < _number(least)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def agent_runs(row: sqlite3.Row) -> bool:
    """Tell whether the agent is there and answers: its instance runs, in a VPC, and lets it read its metadata.

    That metadata switched off stops the agent, too, is ours.
    """
    known = facts(row)
    reachable = known["status"] == "Running" and known["network_type"] == "vpc"
    return reachable and row["http_endpoint"] == "enabled" and not too_old_for_hardened_mode(row)


@operation(
    "Ecs",
    "DescribeCloudAssistantStatus",
    required=["RegionId"],
    optional=["InstanceId", "OSType", "PageNumber", "PageSize", "MaxResults", "NextToken"],
    resources=lambda call: (
        [instance_arn(call, i) for i in call.listed("InstanceId")] or [instance_arn(call, "*")]
    ),
)
def describe_cloud_assistant_status(call: Call) -> dict[str, Any]:
    """Tell of each instance whether its agent runs, and its version; without ids, of all in the region.

    Once ids are given, paging does not count (the SDK's doc-string). MissingParam.InstanceId is in the documented
    list, for an empty id.
    """
    check_region_records(call)
    ids = repeated_instance_ids(
        call,
        too_many=(
            403,
            "InstanceIds.ExceedLimit",
            "The number of instance IDs exceeds the upper limit.",
        ),
    )
    system = call.get("OSType")
    if system not in ("", "Windows", "Linux", "FreeBSD"):
        raise OpenApiError(400, "InvalidParameter.OSType", "The specified parameter OSType is not valid.")
    if ids:
        rows = find_assisted(call, ids)
    else:
        rows = call.store.all("SELECT * FROM instances WHERE region_id=? ORDER BY position", call.region_id)
    rows = [row for row in rows if system in ("", facts(row)["os_type"].title())]
    shown, paging = (rows, {"PageNumber": 1, "PageSize": len(rows), "NextToken": ""})
    if not ids:
        shown, paging = token_page(call, rows)
    return {
        "TotalCount": len(rows),
        **paging,
        "InstanceCloudAssistantStatusSet": {
            "InstanceCloudAssistantStatus": [_shown(call, row) for row in shown]
        },
    }


def _shown(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    runs = agent_runs(row)
    sent = call.store.one(
        "SELECT count(*) AS n, max(created) AS last, sum(status IN ('Pending', 'Running')) AS active"
        " FROM invocation_instances WHERE instance_id=?",
        row["instance_id"],
    )
    count, last, active = (sent["n"], sent["last"], sent["active"] or 0) if sent else (0, None, 0)
    # The agent reports every minute (ours); one that does not run last did on the day of the world's start.
    beat = time.time() // 60 * 60
    return {
        "InstanceId": row["instance_id"],
        "CloudAssistantStatus": "true" if runs else "false",
        "CloudAssistantVersion": agent_version(row),
        "ActiveTaskCount": active,
        "InvocationCount": count,
        "LastInvokedTime": _iso(last) if last else "",
        "LastHeartbeatTime": _iso(beat) if runs else "2026-01-15T08:05:00Z",
        "OSType": facts(row)["os_type"].title(),
        "SupportSessionManager": runs,
    }


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
