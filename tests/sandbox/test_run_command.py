"""RunCommand, DescribeInvocations and DescribeInvocationResults, through alibabacloud_ecs20140526.

facts/ecs.md §9, §10; contract/ecs.json for codes and texts.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as em

from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.services.ecs import running
from tests.sandbox.drive import (
    CLASSIC,
    HARDENED,
    STOPPED,
    WEB,
    WEB2,
    WINDOWS,
    Caller,
    Drive,
    refused,
    region_of,
)
from tests.sandbox.test_ecs_status import agents, assistant, documented, harden
from tests.sandbox.vendor import demo, same_shape


@pytest.fixture
def on(drive: Drive) -> Iterator[Drive]:
    """The drive with RunCommand turned on."""
    drive.sandbox.set(run_command=True)
    yield drive
    drive.sandbox.set(run_command=None)


def run(drive: Drive, script: str = "true", *ids: str, who: Any = "admin", **more: Any) -> dict[str, Any]:
    ids = ids or (WEB,)
    region = more.pop("region", region_of(ids[0]))
    given = {"type": "RunShellScript", "command_content": script, "instance_id": list(ids), **more}
    request = em.RunCommandRequest(region_id=region, **given)
    found: dict[str, Any] = drive.ecs(who, region).run_command(request).body.to_map()
    return found


def results(drive: Drive, region: str = "cn-beijing", **more: Any) -> dict[str, Any]:
    more.setdefault("content_encoding", "PlainText")
    request = em.DescribeInvocationResultsRequest(region_id=region, **more)
    found: dict[str, Any] = drive.ecs("admin", region).describe_invocation_results(request).body.to_map()
    return found


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    given: list[dict[str, Any]] = found["Invocation"]["InvocationResults"]["InvocationResult"]
    return given


def finished(drive: Drive, sent: dict[str, Any], region: str = "cn-beijing") -> list[dict[str, Any]]:
    """Wait until a command is over, as a client does."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = rows(results(drive, region, invoke_id=sent["InvokeId"]))
        if all(row["InvokeRecordStatus"] != "Running" for row in found):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def output(drive: Drive, script: str, *ids: str, **more: Any) -> str:
    row = finished(drive, run(drive, script, *ids, **more))[0]
    assert row["InvocationStatus"] == "Success", row
    return str(row["Output"])


# -- off by default --------------------------------------------------------------------------------------------


def test_off_until_turned_on(drive: Drive) -> None:
    """Ours: the documented code, and a text that says how."""
    error = refused(lambda: run(drive), 403, "Operation.Forbidden")
    assert error.data["Message"].startswith("The operation is not permitted.")
    assert "run_command" in error.data["Message"]
    assert rows(results(drive)) == []


def test_needs_the_permission(on: Drive) -> None:
    """facts/ecs.md §12: on the instance and on command/*."""
    refused(lambda: run(on, who="viewer"), 403, "Forbidden.RAM")
    assert rows(results(on)) == []


# -- a run -----------------------------------------------------------------------------------------------------


def test_run(on: Drive) -> None:
    """facts/ecs.md §9, §10: the documented answers; Output is Base64 by default."""
    sent = run(on, "echo out; echo err >&2", name="hello", description="says hello")
    same_shape(demo("ecs", "RunCommand"), sent)
    assert sent["CommandId"].startswith("c-")
    assert sent["InvokeId"].startswith("t-")
    row = finished(on, sent)[0]
    assert (row["InvocationStatus"], row["InvokeRecordStatus"]) == ("Success", "Finished")
    assert (row["ExitCode"], row["ErrorCode"], row["Dropped"], row["Repeats"]) == (0, "", 0, 1)
    assert sorted(row["Output"].split()) == ["err", "out"]
    assert row["Username"] == "root"
    found = results(on, invoke_id=sent["InvokeId"], content_encoding=None)
    same_shape(demo("ecs", "DescribeInvocationResults"), found, without=("Invocation.InvocationResults.x",))
    assert sorted(base64.b64decode(rows(found)[0]["Output"]).split()) == [b"err", b"out"]


def test_invocations(on: Drive) -> None:
    sent = run(on, "echo hi", WEB, WEB2, name="hello", description="says hello", timeout=30)
    finished(on, sent)

    def listed(**more: Any) -> Any:
        request = em.DescribeInvocationsRequest(region_id="cn-beijing", **more)
        return on.ecs().describe_invocations(request).body.to_map()

    found = listed(include_output=True, content_encoding="PlainText")
    same_shape(demo("ecs", "DescribeInvocations"), found)
    [shown] = found["Invocations"]["Invocation"]
    assert shown["CommandContent"] == "echo hi"
    assert (shown["CommandName"], shown["Timeout"], shown["WorkingDir"]) == ("hello", 30, "/root")
    assert (shown["InvokeStatus"], shown["InvocationStatus"]) == ("Finished", "Success")
    assert [i["Output"] for i in shown["InvokeInstances"]["InvokeInstance"]] == ["hi\n"] * 2
    plain = listed()["Invocations"]["Invocation"][0]
    assert base64.b64decode(plain["CommandContent"]) == b"echo hi"
    assert plain["InvokeInstances"]["InvokeInstance"][0]["Output"] == ""
    for more, count in (
        ({"command_name": "hello"}, 1),
        ({"command_name": "other"}, 0),
        ({"command_type": "RunBatScript"}, 0),
        ({"invoke_status": "Finished"}, 1),
        ({"invoke_status": "Running"}, 0),
        ({"instance_id": HARDENED}, 0),
        ({"command_id": sent["CommandId"]}, 1),
    ):
        assert listed(**more)["TotalCount"] == count, more


def test_runs_as_on_the_instance(on: Drive) -> None:
    """The script sees the instance's metadata, its role, and no key of whoever runs the sandbox."""
    on.make_role("EcsRamRole", "AliyunOSSReadOnlyAccess")
    on.attach(WEB)
    script = (
        "curl -s http://100.100.100.200/latest/meta-data/instance-id; echo;"
        "curl -s http://100.100.100.200/latest/meta-data/ram/security-credentials/; echo;"
        "env | grep -c -e ALIBABA_CLOUD -e RAMROLE_; pwd; ls -A"
    )
    lines = output(on, script + " || true").split("\n")
    assert lines[:3] == [WEB, "EcsRamRole", "0"]
    assert lines[3].endswith("/root")
    assert lines[4:] == [""], "an empty folder"


def test_the_folder_is_gone_afterwards(on: Drive) -> None:
    home = output(on, "echo $HOME; touch left").strip()
    assert not Path(home).exists()


def test_base64_and_a_program_of_ones_own(on: Drive) -> None:
    """A script's #! line counts."""
    script = "#!/usr/bin/env python3\nimport sys\nprint('python', sys.version_info.major)"
    content = base64.b64encode(script.encode()).decode()
    assert output(on, content, content_encoding="Base64") == "python 3\n"


def test_exit_code(on: Drive) -> None:
    row = finished(on, run(on, "echo no; exit 3"))[0]
    assert (row["InvocationStatus"], row["ExitCode"], row["ErrorCode"]) == ("Failed", 3, "ExitCodeNonzero")
    assert (row["InvokeRecordStatus"], row["Output"]) == ("Finished", "no\n")


def test_timeout(on: Drive) -> None:
    """The script and its children end; what it had said is kept."""
    started = time.monotonic()
    row = finished(on, run(on, "echo $$; sleep 60 & echo $!; sleep 60", timeout=1))[0]
    assert time.monotonic() - started < 5
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Timeout", "ExecutionTimeout")
    assert "ExitCode" not in row
    for pid in row["Output"].split():
        _gone(int(pid))


def test_what_a_script_leaves_behind_ends(on: Drive) -> None:
    started = time.monotonic()
    row = finished(on, run(on, "sleep 60 & echo $!"))[0]
    assert (row["InvocationStatus"], time.monotonic() - started < 5) == ("Success", True)
    _gone(int(row["Output"]))


def test_output_limit(on: Drive) -> None:
    """The doc-string of Dropped: more than 24 KB is dropped, and counted."""
    row = finished(on, run(on, "head -c 30000 /dev/zero | tr '\\0' x"))[0]
    assert (len(row["Output"]), row["Dropped"]) == (24 * 1024, 30000 - 24 * 1024)


def test_much_output_is_not_kept(on: Drive) -> None:
    row = finished(on, run(on, "head -c 100000000 /dev/zero"))[0]
    assert row["Dropped"] == 100_000_000 - 24 * 1024


def test_the_loop_is_not_held_up(on: Drive) -> None:
    """While a script sleeps the sandbox answers; more than run at once wait as Pending."""
    sent = [run(on, "sleep 2") for _ in range(running._AT_ONCE + 2)]
    started = time.monotonic()
    states = [rows(results(on, invoke_id=s["InvokeId"]))[0]["InvocationStatus"] for s in sent]
    assert time.monotonic() - started < 1.5
    assert "Pending" in states
    agent = agents(assistant(on, WEB))[WEB]
    assert agent["ActiveTaskCount"] == agent["InvocationCount"] == len(sent)
    assert all(finished(on, s)[0]["InvocationStatus"] == "Success" for s in sent)


# -- parameters of a script ------------------------------------------------------------------------------------


def test_parameters(on: Drive) -> None:
    """Names are case-insensitive, blanks around them do not count, built-in ones are filled in."""
    script = "echo {{name}} {{ Name }} {{other}}.; echo {{ACS::InstanceId}} {{acs::RegionId}} {{ACS::InstanceName}}"
    sent = run(on, script, enable_parameter=True, parameters={"NAME": "Jack"})
    lines = finished(on, sent)[0]["Output"].splitlines()
    assert lines == ["Jack Jack .", f"{WEB} cn-beijing web-1"]
    assert output(on, "echo '{{name}}'") == "{{name}}\n", "not enabled: left alone"


# -- what does not come to run ---------------------------------------------------------------------------------


def test_windows_scripts(on: Drive) -> None:
    """Honest: they cannot run here, by a documented ErrorCode."""
    sent = run(on, "Get-Date", WINDOWS, type="RunPowerShellScript")
    row = finished(on, sent)[0]
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Invalid", "CommandNotApplicable")
    assert "cannot run Windows scripts" in row["ErrorInfo"]
    assert (row["InvokeRecordStatus"], row["StartTime"]) == ("Failed", "")


@pytest.mark.parametrize(
    ("instance", "code", "more"),
    [
        (STOPPED, "InstanceNotRunning", {}),
        (CLASSIC, "ClientNotRunning", {}),
        (WEB, "AccountNotExists", {"username": "alice"}),
        (WEB, "DirectoryNotExists", {"working_dir": "/home/alice"}),
    ],
)
def test_does_not_run(on: Drive, instance: str, code: str, more: dict[str, Any]) -> None:
    """facts/ecs.md §10: the documented values of ErrorCode."""
    row = finished(on, run(on, "true", instance, **more), region_of(instance))[0]
    assert row["ErrorCode"] == code
    assert row["InvokeRecordStatus"] == "Failed"
    assert "ExitCode" not in row


def test_agent_too_old_for_a_hardened_instance(on: Drive) -> None:
    """facts/imds.md §4: below the least version commands fail on hardened-only instances."""
    assert output(on, "echo works", WEB2) == "works\n"
    harden(on, WEB2)
    row = finished(on, run(on, "true", WEB2))[0]
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Aborted", "ClientNotRunning")
    assert "too old" in row["ErrorInfo"]
    assert output(on, "echo works", HARDENED) == "works\n"


def test_partly(on: Drive) -> None:
    """facts/ecs.md §10: PartialFailed where it failed on some."""
    harden(on, WEB2)
    sent = run(on, "true", WEB, WEB2)
    finished(on, sent)
    request = em.DescribeInvocationsRequest(region_id="cn-beijing", invoke_id=sent["InvokeId"])
    shown = on.ecs().describe_invocations(request).body.to_map()["Invocations"]["Invocation"][0]
    assert (shown["InvokeStatus"], shown["InvocationStatus"]) == ("PartialFailed", "PartialFailed")


# -- refusals --------------------------------------------------------------------------------------------------

_LONG = {str(n): "x" for n in range(11)}


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("MissingParam.InstanceId", lambda d: run(d, instance_id=None)),
        ("InstanceIds.ExceedLimit", lambda d: run(d, "true", *(f"i-2ze{n}" for n in range(101)))),
        ("InvalidInstance.NotFound", lambda d: run(d, "true", "i-2zenosuch")),
        ("InvalidInstance.NotMatch", lambda d: run(d, "true", WINDOWS)),
        ("InvalidInstance.NotMatch", lambda d: run(d, "dir", WEB, type="RunBatScript")),
        ("InvalidCmdType.NotFound", lambda d: run(d, type="RunPythonScript")),
        ("InvalidRegionId.NotFound", lambda d: run(d, region="cn-nowhere")),
        ("CmdContent.DecodeError", lambda d: run(d, "not base64", content_encoding="Base64")),
        ("CmdContent.ExceedLimit", lambda d: run(d, "#" * (18 * 1024 + 1))),
        ("CmdContent.ExceedLimit", lambda d: run(d, "#" * (14 * 1024), keep_command=True)),
        ("CmdName.ExceedLimit", lambda d: run(d, name="n" * 129)),
        ("CmdDesc.ExceedLimit", lambda d: run(d, description="n" * 513)),
        ("Username.ExceedLimit", lambda d: run(d, username="n" * 256)),
        ("InvalidRepeatMode.NotFound", lambda d: run(d, repeat_mode="Always")),
        ("MissingParam.Frequency", lambda d: run(d, repeat_mode="Period")),
        ("InvalidTerminationMode.NotFound", lambda d: run(d, termination_mode="Nice")),
        ("InvalidParameter.WorkingDir", lambda d: run(d, working_dir="home")),
        ("InvalidParameterCharacter.CommandWorkingDir", lambda d: run(d, working_dir="/a\tb")),
        ("Parameter.Disabled", lambda d: run(d, parameters={"a": "b"})),
        ("Parameter.NotMatched", lambda d: run(d, enable_parameter=True, parameters={"a": "b"})),
        ("CmdParam.EmptyKey", lambda d: run(d, "echo {{}}", enable_parameter=True)),
        ("CmdParam.InvalidParamName", lambda d: run(d, "echo {{a b}}", enable_parameter=True)),
        ("CmdParamName.ExceedLimit", lambda d: run(d, "{{" + "a" * 65 + "}}", enable_parameter=True)),
        (
            "CmdParamCount.ExceedLimit",
            lambda d: run(d, "".join(f"{{{{a{n}}}}}" for n in range(21)), enable_parameter=True),
        ),
        ("ParameterCount.ExceedLimit", lambda d: run(d, enable_parameter=True, parameters=_LONG)),
        ("ParameterKey.ExceedLimit", lambda d: run(d, enable_parameter=True, parameters={"a" * 65: ""})),
        ("ParameterKey.Duplicate", lambda d: run(d, enable_parameter=True, parameters={"a": "", "A": ""})),
        ("ParameterType.NotSupported", lambda d: run(d, enable_parameter=True, parameters={"a": ["b"]})),
        ("InvalidClientToken.Malformed", lambda d: run(d, client_token="t" * 65)),
    ],
)
def test_refusals(on: Drive, code: str, call: Callable[[Drive], object]) -> None:
    """contract/ecs.json: status, code and text of every refusal that can be produced."""
    refused(lambda: call(on), *documented("RunCommand", code))
    assert rows(results(on)) == []


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Frequency", {"frequency": "rate(5m)"}),
        ("ResourceGroupId", {"resource_group_id": "rg-1"}),
        ("ContainerId", {"container_id": "a" * 64}),
        ("ContainerName", {"container_name": "c"}),
        ("WindowsPasswordName", {"windows_password_name": "p"}),
        ("Tag.1.Key", {"tag": [em.RunCommandRequestTag(key="k", value="v")]}),
        ("ResourceTag.1.Key", {"resource_tag": [em.RunCommandRequestResourceTag(key="k", value="v")]}),
        ("RepeatMode", {"repeat_mode": "EveryReboot"}),
    ],
)
def test_not_modelled(on: Drive, name: str, more: dict[str, Any]) -> None:
    """Ours: refused by name, never ignored."""
    error = refused(lambda: run(on, **more), 400, f"UnsupportedParameter.{name}")
    assert "not modelled by the sandbox" in error.message


def test_client_token(on: Drive) -> None:
    """The same token, the same request: the same answer, run once. Another request: IdempotentParameterMismatch."""
    first = run(on, "echo once", client_token="token-1")
    again = run(on, "echo once", client_token="token-1")
    assert (again["InvokeId"], again["CommandId"]) == (first["InvokeId"], first["CommandId"])
    assert len(finished(on, first)) == 1
    refused(
        lambda: run(on, "echo twice", client_token="token-1"),
        *documented("RunCommand", "IdempotentParameterMismatch"),
    )


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("InvalidParam.PageSize", {"page_size": 51}),
        ("InvalidParam.PageNumber", {"page_number": 0}),
        ("InvalidParameter.MaxResults", {"max_results": 51}),
        ("InvalidParameter.NextToken", {"next_token": "!"}),
        ("InvalidRegionId.NotFound", {"region": "cn-nowhere"}),
    ],
)
def test_queries_refused(drive: Drive, code: str, more: dict[str, Any]) -> None:
    refused(lambda: results(drive, **more), *documented("DescribeInvocationResults", code))
    region = more.pop("region", "cn-beijing")
    request = em.DescribeInvocationsRequest(region_id=region, **more)
    refused(
        lambda: drive.ecs("admin", region).describe_invocations(request),
        *documented("DescribeInvocations", code),
    )


def test_result_pages_and_filters(on: Drive) -> None:
    sent = [run(on, f"exit {n}") for n in range(3)]
    for one in sent:
        finished(on, one)
    first = results(on, max_results=2)
    assert [r["InvokeId"] for r in rows(first)] == [s["InvokeId"] for s in reversed(sent)][:2]
    rest = results(on, max_results=2, next_token=first["Invocation"]["NextToken"])
    assert [r["InvokeId"] for r in rows(rest)] == [sent[0]["InvokeId"]]
    assert len(rows(results(on, invoke_record_status="Finished"))) == 3
    assert len(rows(results(on, invoke_record_status="Success"))) == 1
    assert rows(results(on, instance_id=HARDENED)) == []
    refused(lambda: results(on, invoke_record_status="Done"), 400, "InvalidParameter.InvokeRecordStatus")


# -- ends ------------------------------------------------------------------------------------------------------


def _gone(pid: int, within: float = 5.0) -> None:
    """Wait until no such process runs (one nobody has waited for yet does not run either)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        stat = Path(f"/proc/{pid}/stat")
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.02)
    raise AssertionError(f"process {pid} still runs")


def _pid(drive: Drive, sent: dict[str, Any], folder: Path) -> int:
    del drive, sent
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if (folder / "pid").exists() and (folder / "pid").read_text().strip():
            return int((folder / "pid").read_text())
        time.sleep(0.02)
    raise AssertionError("the script did not start")


def test_a_reset_ends_commands(on: Drive, tmp_path: Path) -> None:
    pid = _pid(on, run(on, f"echo $$ > {tmp_path}/pid; sleep 60"), tmp_path)
    on.sandbox.reset()
    _gone(pid)
    assert rows(results(on)) == []


def test_a_stop_ends_commands_and_says_so(tmp_path: Path) -> None:
    """After a restart the record is there, Failed with ExecutionInterrupted."""
    state = tmp_path / "state"
    with Sandbox(state) as sandbox:
        sandbox.set(run_command=True)
        drive = Drive(sandbox)
        sent = run(drive, f"echo $$ > {tmp_path}/pid; sleep 60")
        pid = _pid(drive, sent, tmp_path)
    _gone(pid)
    with Sandbox(state) as sandbox:
        [row] = rows(results(Drive(sandbox), invoke_id=sent["InvokeId"]))
    assert (row["InvocationStatus"], row["ErrorCode"]) == ("Failed", "ExecutionInterrupted")
    assert row["InvokeRecordStatus"] == "Failed"


def test_a_killed_server(tmp_path: Path) -> None:
    """Kill -9 in the middle: after a restart no record says Running."""
    state = tmp_path / "state"
    code = (
        "import sys, time\nfrom ramrole_nb.sandbox import Sandbox\n"
        "s = Sandbox(sys.argv[1]).start(); s.set(run_command=True); print(s.url, flush=True); time.sleep(60)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(state)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        runtime = json.loads((state / "runtime.json").read_text())
        drive = Drive.__new__(Drive)
        drive.url, drive.account, drive._clients = runtime["url"], runtime["account_id"], {}
        drive.users = {
            u["name"]: Caller(u["access_key_id"], u["access_key_secret"]) for u in runtime["users"]
        }
        sent = run(drive, f"echo $$ > {tmp_path}/pid; sleep 30")
        pid = _pid(drive, sent, tmp_path)
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        if server.stdout is not None:
            server.stdout.close()
    try:
        with Sandbox(state) as sandbox:
            [row] = rows(results(Drive(sandbox), invoke_id=sent["InvokeId"]))
        assert (row["InvocationStatus"], row["ErrorCode"]) == ("Failed", "ExecutionInterrupted")
    finally:
        os.killpg(pid, signal.SIGKILL)  # its server could not
