"""RunCommand: a script on instances, through Cloud Assistant.

Source: https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-runcommand; parameters also by
the doc-strings of alibabacloud_ecs20140526's RunCommandRequest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
import sqlite3
import time
from typing import Any

from ...errors import OpenApiError
from ...openapi import Call, operation, read_json
from ...store import dumps
from .assistant import agent_runs, too_old_for_hardened_mode
from .common import check_region_records, facts, find_assisted, instance_arn, repeated_instance_ids
from .running import Script, cannot_run_here, run_on_instance

KNOB = "run_command"

_TYPES = {"RunShellScript": "linux", "RunBatScript": "windows", "RunPowerShellScript": "windows"}
_REPEAT_MODES = ("Once", "Period", "NextRebootOnly", "EveryReboot", "DryRun")
# Of the content in Base64. Source: the operation's page.
_KEPT_LIMIT, _LIMIT = 18 * 1024, 24 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_LONGEST_TIMEOUT = 86_400


_OFF = (
    "The operation is not permitted. RunCommand is off in this sandbox, because it runs the script on this computer, "
    "as you; turn it on with the knob run_command: sandbox.set(run_command=True)."
)


def _resources(call: Call) -> list[str]:
    named = [instance_arn(call, i) for i in call.listed("InstanceId")] or [instance_arn(call, "*")]
    return [*named, f"acs:ecs:{call.region_id}:{call.account_id}:command/*"]


def _bad(status: int, code: str, message: str) -> OpenApiError:
    return OpenApiError(status, code, message)


def _length(call: Call, name: str, most: int, code: str, what: str) -> str:
    text = call.get(name)
    if len(text) > most:
        raise _bad(403, code, f"The length of the {what} exceeds the upper limit.")
    return text


def _content(call: Call) -> tuple[bytes, str]:
    """Return the script and its Base64 form; whatever is not `Base64` as encoding counts as plain text."""
    sent = call.get("CommandContent")
    if call.get("ContentEncoding").lower() == "base64":
        try:
            content = base64.b64decode(sent.encode("ascii"), validate=True)
        except (ValueError, binascii.Error):
            raise _bad(
                400, "CmdContent.DecodeError", "The CommandContent can not be base64 decoded."
            ) from None
    else:
        content = sent.encode()
    encoded = base64.b64encode(content).decode()
    if len(encoded) > (_KEPT_LIMIT if call.flag("KeepCommand") else _LIMIT):
        raise _bad(
            403,
            "CmdContent.ExceedLimit",
            "The length of the command content exceeds the upper limit.",
        )
    return content, encoded


def _parameters(call: Call, content: bytes) -> dict[str, str]:
    """Return the custom parameters: names case-insensitive, at most 10, of those that the content has."""
    enabled, text = call.flag("EnableParameter"), call.get("Parameters")
    given: Any = {}
    if text:
        try:
            given = read_json(text, _no_repeats)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise _bad(400, "InvalidParameter.Parameters", "The specified parameter Parameters is not valid.")
    if given and not enabled:
        raise _bad(
            400,
            "Parameter.Disabled",
            "Parameters should not be passed when CreateCommand.EnableParameter is false.",
        )
    if len(given) > 10:
        raise _bad(
            403,
            "ParameterCount.ExceedLimit",
            "The number of command parameters exceeds the maximum number that can be set.",
        )
    for name, value in given.items():
        if not name:
            raise _bad(400, "CmdParam.EmptyKey", "Command parameters can not be empty.")
        if len(name) > 64:
            raise _bad(
                403,
                "ParameterKey.ExceedLimit",
                "The length of the specified parameter key exceeds the maximum length that can be set.",
            )
        if not isinstance(value, str | int | float):
            raise _bad(403, "ParameterType.NotSupported", "The type of parameter value is not supported.")
    if not enabled:
        return {}
    defined = _defined(content)
    lowered = {name.lower(): _text(value) for name, value in given.items()}
    if not set(lowered) <= defined:
        raise _bad(
            400,
            "Parameter.NotMatched",
            "The parameters of creation do not match those of invocation.",
        )
    return lowered


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name.lower() for name, _ in pairs]
    if len(set(names)) != len(names):
        raise _bad(400, "ParameterKey.Duplicate", "The parameter may not contain duplicate keys.")
    return dict(pairs)


def _defined(content: bytes) -> set[str]:
    """Return the custom parameters in the content, checked; built-in ones (`ACS::…`) are not among them."""
    names = set()
    for found in _PLACE.findall(content.decode("utf-8", "replace")):
        name = found.lower()
        if name.startswith("acs::") and name in _BUILT_IN:
            continue
        if not name:
            raise _bad(400, "CmdParam.EmptyKey", "Command parameters can not be empty.")
        if len(name) > 64:
            raise _bad(
                403,
                "CmdParamName.ExceedLimit",
                "The length of the command parameter name exceeds the limit.",
            )
        if not _NAME.fullmatch(name):
            raise _bad(400, "CmdParam.InvalidParamName", "A command parameter name is invalid.")
        names.add(name)
    if len(names) > 20:
        raise _bad(
            403,
            "CmdParamCount.ExceedLimit",
            "You've reached the limit on the count of command parameters.",
        )
    return names


_BUILT_IN = (
    "acs::regionid",
    "acs::accountid",
    "acs::instanceid",
    "acs::instancename",
    "acs::invokeid",
    "acs::commandid",
)


def _filled(content: bytes, values: dict[str, str]) -> bytes:
    """Put values in their places; a parameter that is not given is empty (the SDK's doc-string)."""
    text = content.decode("utf-8", "surrogateescape")
    filled = _PLACE.sub(lambda place: values.get(place[1].lower(), ""), text)
    return filled.encode("utf-8", "surrogateescape")


def _mode(call: Call) -> str:
    mode = call.get("RepeatMode") or "Once"
    if mode not in _REPEAT_MODES:
        raise _bad(404, "InvalidRepeatMode.NotFound", "The specified repeat mode does not exist.")
    if mode == "Period":  # a Frequency itself is refused as not modelled, before
        raise _bad(
            400,
            "MissingParam.Frequency",
            "The frequency must be specified when you create a timed task.",
        )
    if mode != "Once":
        raise _bad(
            400,
            "UnsupportedParameter.RepeatMode",
            f"RepeatMode {mode} is not modelled by the sandbox, whose commands run once.",
        )
    ending = call.get("TerminationMode") or "Process"
    if ending not in ("Process", "ProcessTree"):
        raise _bad(
            404,
            "InvalidTerminationMode.NotFound",
            "The specified parameter TerminationMode does not exist.",
        )
    return ending


def _request(call: Call) -> tuple[dict[str, Any], bytes]:
    """Return a checked request, and its script with parameters still in their places."""
    kind = call.get("Type")
    if kind not in _TYPES:
        raise _bad(404, "InvalidCmdType.NotFound", "The specified command type does not exist.")
    content, encoded = _content(call)
    ending = _mode(call)
    timeout = call.integer("Timeout", 60, low=1, high=_LONGEST_TIMEOUT)
    folder = call.get("WorkingDir")
    if len(folder) > 200 or (folder and not folder.startswith(("/", "C:\\", "c:\\"))):
        raise _bad(400, "InvalidParameter.WorkingDir", "The specified parameter WorkingDir is not valid.")
    if any(c < " " for c in folder):
        raise _bad(
            403,
            "InvalidParameterCharacter.CommandWorkingDir",
            "The command WorkingDir contains illegal characters.",
        )
    values = _parameters(call, content)
    request = {
        "name": _length(call, "Name", 128, "CmdName.ExceedLimit", "command name"),
        "description": _length(call, "Description", 512, "CmdDesc.ExceedLimit", "command description"),
        "type": kind,
        "content": encoded,
        "working_dir": folder,
        "timeout": timeout,
        "username": _length(call, "Username", 255, "Username.ExceedLimit", "username"),
        "parameters": values,
        "filled": call.flag("EnableParameter"),
        "termination_mode": ending,
        "keep": call.flag("KeepCommand"),
    }
    return request, content


def _stopped_before(row: sqlite3.Row, request: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return (status, error code, sentence) of a command that does not come to run on an instance.

    Source of the codes: ErrorCode of
    https://www.alibabacloud.com/help/en/ecs/developer-reference/api-ecs-2014-05-26-describeinvocationresults
    """
    known = facts(row)
    if known["status"] != "Running":
        return "Aborted", "InstanceNotRunning", f"The instance is {known['status']}."
    if not agent_runs(row):
        why = "The Cloud Assistant agent is not running."
        if too_old_for_hardened_mode(row):
            why = "The Cloud Assistant agent is too old for an instance in security hardening mode only."
        return "Aborted", "ClientNotRunning", why
    if known["os_type"] == "windows":
        return (
            "Invalid",
            "CommandNotApplicable",
            "The sandbox cannot run Windows scripts: its instances have no Windows behind them.",
        )
    if reason := cannot_run_here():
        return "Invalid", "CommandNotApplicable", f"The sandbox cannot run shell scripts: {reason}."
    if request["username"] not in ("", "root"):
        return "Failed", "AccountNotExists", f"There is no user {request['username']!r}; there is root."
    if request["working_dir"].rstrip("/") not in ("", "/root"):
        return "Failed", "DirectoryNotExists", f"There is no {request['working_dir']}; there is /root."
    return None


@operation(
    "Ecs",
    "RunCommand",
    required=["RegionId", "Type", "CommandContent"],
    optional=[
        "InstanceId",
        "ContentEncoding",
        "Timeout",
        "WorkingDir",
        "Username",
        "EnableParameter",
        "Parameters",
        "RepeatMode",
        "TerminationMode",
        "KeepCommand",
        "ClientToken",
        "Name",
        "Description",
        "Timed",
    ],
    refused=[
        "Frequency",
        "ResourceGroupId",
        "ResourceTag",
        "Tag",
        "ContainerId",
        "ContainerName",
        "WindowsPasswordName",
        "Launcher",
        "OssOutputDelivery",
    ],
    resources=_resources,
)
def run_command(call: Call) -> dict[str, Any]:
    """Run a script on instances: here, on this computer, as those instances see the cloud.

    The home and working directory `/root` is a fresh folder, removed afterwards; `root` is the user who started the
    sandbox. Other users and folders do not exist there. Whatever `TerminationMode` says, all that a script started
    ends with it, so that nothing is left on this computer. `Timed` has no effect, as documented. `KeepCommand` counts
    for the size limit only: operations on kept commands are not in scope. What stops one instance shows in its result,
    not in this answer; the page says "reselect the instances" and names no code.
    """
    check_region_records(call)
    if not call.knobs.on(KNOB):
        raise _bad(
            403,
            "Operation.Forbidden",
            _OFF,
        )
    ids = repeated_instance_ids(
        call,
        too_many=(403, "InstanceIds.ExceedLimit", "The number of instance IDs exceeds the upper limit."),
    )
    if not ids:
        raise _bad(400, "MissingParam.InstanceId", "The parameter instanceId is missing or empty.")
    request, content = _request(call)
    rows = find_assisted(call, ids)
    if any(facts(row)["os_type"] != _TYPES[request["type"]] for row in rows):
        raise _bad(
            400,
            "InvalidInstance.NotMatch",
            "The specified instance type does not match the command.",
        )
    token = call.get("ClientToken")
    if len(token) > 64 or not token.isascii():
        raise _bad(400, "InvalidClientToken.Malformed", "The specified parameter clientToken is not valid.")
    request["instances"] = ids
    request["digest"] = hashlib.sha256(dumps({**request, "region": call.region_id}).encode()).hexdigest()
    if token and (before := _same_token(call, token, request["digest"])):
        return before
    command_id, invoke_id = f"c-sandbox{secrets.token_hex(8)}", f"t-sandbox{secrets.token_hex(8)}"
    scripts: list[Script] = []
    now = time.time()
    with call.store.transaction():
        call.store.run(
            "INSERT INTO invocations VALUES (?, ?, ?, ?, ?, ?)",
            invoke_id,
            command_id,
            call.region_id,
            dumps(request),
            token,
            now,
        )
        for row in rows:
            stopped = _stopped_before(row, request)
            status, code, info = stopped or ("Pending", "", "")
            call.store.run(
                "INSERT INTO invocation_instances VALUES (?, ?, ?, ?, ?, NULL, X'', 0, ?, NULL, ?)",
                invoke_id,
                row["instance_id"],
                status,
                code,
                info,
                now,
                now if stopped else None,
            )
            if not stopped:
                values = {**request["parameters"], **_built_in(call, row, command_id, invoke_id)}
                text = _filled(content, values) if request["filled"] else content
                scripts.append(Script(invoke_id, row["instance_id"], text, request["timeout"]))
    for script in scripts:
        call.spawn(run_on_instance(call.store, script))
    return {"CommandId": command_id, "InvokeId": invoke_id}


def _built_in(call: Call, row: sqlite3.Row, command_id: str, invoke_id: str) -> dict[str, str]:
    values = (
        call.region_id,
        call.account_id,
        row["instance_id"],
        facts(row)["name"],
        invoke_id,
        command_id,
    )
    return dict(zip(_BUILT_IN, values, strict=True))


def _same_token(call: Call, token: str, digest: str) -> dict[str, Any] | None:
    """Return the answer to an earlier request with this client token; it must have been the same request."""
    row = call.store.one("SELECT * FROM invocations WHERE client_token=?", token)
    if row is None:
        return None
    if json.loads(row["request"])["digest"] != digest:
        raise _bad(
            403,
            "IdempotentParameterMismatch",
            "The specified parameter has changed while using an already used clientToken.",
        )
    return {"CommandId": row["command_id"], "InvokeId": row["invoke_id"]}
