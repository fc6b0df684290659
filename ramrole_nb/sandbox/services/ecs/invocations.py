"""DescribeInvocations and DescribeInvocationResults: what became of commands.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinvocationresults and
…-describeinvocations. The vendor's two sets of states overlap; how one follows from the other is said here.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call, operation
from .common import check_region_records, instance_arn, token_page

_RECORD_STATUSES = ("Running", "Finished", "Success", "Failed", "PartialFailed", "Stopped", "Stopping")


def _iso(moment: float | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)) if moment else ""


def _record_status(status: str) -> str:
    """InvokeRecordStatus of one instance: a script that ran to its end is Finished, whatever its exit code.

    The page says "completed" for Finished and has another filter, Success, for exit code 0; so this reading, ours.
    """
    if status in ("Pending", "Running"):
        return "Running"
    return "Finished" if status in ("Success", "Failed with exit code") else "Failed"


def _own_status(row: sqlite3.Row) -> str:
    ran = row["status"] == "Failed" and row["exit_code"] is not None
    return _record_status("Failed with exit code" if ran else row["status"])


def _overall(statuses: Sequence[str], good: str) -> str:
    """The state of all instances together."""
    if any(status in ("Pending", "Running") for status in statuses):
        return "Running"
    if all(status == good for status in statuses):
        return good
    return "PartialFailed" if good in statuses else "Failed"


def _encoded(call: Call, content: bytes) -> str:
    """Return text as asked for: Base64 unless PlainText."""
    if call.get("ContentEncoding").lower() == "plaintext":
        return content.decode("utf-8", "replace")
    return base64.b64encode(content).decode()


def _resources(call: Call) -> list[str]:
    # That permissions are asked on the instance, or on all where none is named, is ours.
    return [instance_arn(call, call.get("InstanceId") or "*")]


def _rows(call: Call) -> list[sqlite3.Row]:
    return call.store.all(
        "SELECT n.*, v.command_id, v.request, v.created AS requested FROM invocation_instances n"
        " JOIN invocations v ON v.invoke_id = n.invoke_id WHERE v.region_id=?"
        " AND (?='' OR n.invoke_id=?) AND (?='' OR v.command_id=?) AND (?='' OR n.instance_id=?)"
        " ORDER BY v.created DESC, v.rowid DESC, n.rowid",
        call.region_id,
        *(call.get(name) for name in ("InvokeId", "CommandId", "InstanceId") for _ in range(2)),
    )


def _result(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    request = json.loads(row["request"])
    shown: dict[str, Any] = {
        "InvokeId": row["invoke_id"],
        "CommandId": row["command_id"],
        "InstanceId": row["instance_id"],
        "InvocationStatus": row["status"],
        "InvokeRecordStatus": _own_status(row),
        "Output": _encoded(call, row["output"]),
        "Dropped": row["dropped"],
        "Repeats": 1 if row["started"] else 0,
        "StartTime": _iso(row["started"]),
        "FinishedTime": _iso(row["finished"]),
        "StopTime": "",
        "ErrorCode": row["error_code"],
        "ErrorInfo": row["error_info"],
        "Username": request["username"] or "root",
        "ContainerId": "",
        "ContainerName": "",
        "TerminationMode": request["termination_mode"],
        "Tags": {"Tag": []},
    }
    if row["exit_code"] is not None:
        shown["ExitCode"] = row["exit_code"]
    return shown


@operation(
    "Ecs",
    "DescribeInvocationResults",
    required=["RegionId"],
    optional=[
        "InvokeId",
        "InstanceId",
        "CommandId",
        "InvokeRecordStatus",
        "IncludeHistory",
        "ContentEncoding",
        "PageNumber",
        "PageSize",
        "MaxResults",
        "NextToken",
    ],
    refused=["ResourceGroupId", "Tag"],
    resources=_resources,
)
def describe_invocation_results(call: Call) -> dict[str, Any]:
    """List results, newest first, Output in Base64 unless asked otherwise.

    `IncludeHistory` changes nothing: commands here run once, and have no history beyond that.
    """
    check_region_records(call)
    wanted = call.get("InvokeRecordStatus")
    if wanted and wanted not in _RECORD_STATUSES:
        raise OpenApiError(
            400,
            "InvalidParameter.InvokeRecordStatus",
            "The specified parameter InvokeRecordStatus is not valid.",
        )
    rows = [row for row in _rows(call) if wanted in ("", _own_status(row), row["status"])]
    shown, paging = token_page(call, rows)
    return {
        "Invocation": {
            "TotalCount": len(rows),
            **paging,
            "InvocationResults": {"InvocationResult": [_result(call, row) for row in shown]},
        }
    }


@operation(
    "Ecs",
    "DescribeInvocations",
    required=["RegionId"],
    optional=[
        "InvokeId",
        "CommandId",
        "CommandName",
        "CommandType",
        "InvokeStatus",
        "InstanceId",
        "ContentEncoding",
        "IncludeOutput",
        "RepeatMode",
        "Timed",
        "PageNumber",
        "PageSize",
        "MaxResults",
        "NextToken",
    ],
    refused=["ResourceGroupId", "Tag"],
    resources=_resources,
)
def describe_invocations(call: Call) -> dict[str, Any]:
    """List commands with their instances, newest first; Output only with IncludeOutput."""
    check_region_records(call)
    together: dict[str, list[sqlite3.Row]] = {}
    for row in _rows(call):
        together.setdefault(row["invoke_id"], []).append(row)
    found = [rows for rows in together.values() if _wanted(call, rows)]
    shown, paging = token_page(call, found)
    return {
        "TotalCount": len(found),
        **paging,
        "Invocations": {"Invocation": [_invocation(call, rows) for rows in shown]},
    }


def _invoke_status(rows: Sequence[sqlite3.Row]) -> str:
    return _overall([_own_status(row) for row in rows], "Finished")


def _wanted(call: Call, rows: Sequence[sqlite3.Row]) -> bool:
    request = json.loads(rows[0]["request"])
    same = {
        "CommandName": request["name"],
        "CommandType": request["type"],
        "RepeatMode": "Once",
        "Timed": "false",
    }
    statuses = (_invoke_status(rows), _overall([row["status"] for row in rows], "Success"))
    if call.get("InvokeStatus") and call.get("InvokeStatus") not in statuses:
        return False
    return all(call.get(name) in ("", value) for name, value in same.items())


def _invocation(call: Call, rows: Sequence[sqlite3.Row]) -> dict[str, Any]:
    first = rows[0]
    request = json.loads(first["request"])
    return {
        "InvokeId": first["invoke_id"],
        "CommandId": first["command_id"],
        "CommandName": request["name"],
        "CommandDescription": request["description"],
        "CommandType": request["type"],
        "CommandContent": _encoded(call, base64.b64decode(request["content"])),
        "CreationTime": _iso(first["requested"]),
        "Frequency": "",
        "RepeatMode": "Once",
        "Timed": False,
        "Timeout": request["timeout"],
        "Parameters": json.dumps(request["parameters"]),
        "Username": request["username"] or "root",
        "WorkingDir": request["working_dir"] or "/root",
        "ContainerId": "",
        "ContainerName": "",
        "TerminationMode": request["termination_mode"],
        "InvokeStatus": _invoke_status(rows),
        "InvocationStatus": _overall([row["status"] for row in rows], "Success"),
        "InvokeInstances": {"InvokeInstance": [_instance(call, row) for row in rows]},
        "Tags": {"Tag": []},
    }


def _instance(call: Call, row: sqlite3.Row) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "InstanceId": row["instance_id"],
        "InvocationStatus": row["status"],
        "InstanceInvokeStatus": _own_status(row),
        "Output": _encoded(call, row["output"]) if call.flag("IncludeOutput") else "",
        "Dropped": row["dropped"],
        "Repeats": 1 if row["started"] else 0,
        "CreationTime": _iso(row["created"]),
        "UpdateTime": _iso(row["finished"] or row["started"] or row["created"]),
        "StartTime": _iso(row["started"]),
        "FinishTime": _iso(row["finished"]),
        "StopTime": "",
        "ErrorCode": row["error_code"],
        "ErrorInfo": row["error_info"],
        "Timed": False,
    }
    if row["exit_code"] is not None:
        shown["ExitCode"] = row["exit_code"]
    return shown
