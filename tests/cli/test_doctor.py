"""`ramrole doctor`: exit codes, forms, and the same cause as `rr.diagnose`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import ramrole_nb as rr
from ramrole_nb.doctor.findings import Diagnosis, found
from ramrole_nb.sandbox import process

if TYPE_CHECKING:
    from tests.cli.conftest import Ramrole

_OBJECT = "oss://sandbox-photos/testfolder/example.png"


@pytest.fixture(scope="module", autouse=True)
def _role(running: Ramrole) -> None:
    cloud = rr.connect("sandbox", state=running.state)
    role = cloud.roles.create("EcsRamRole")
    role.grant("AliyunOSSReadOnlyAccess")
    cloud.instances["web-1"].attach(role)


def test_healthy(running: Ramrole) -> None:
    done = running("doctor", "--instance", "web-1", "--object", _OBJECT, "--role", "EcsRamRole")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing is wrong" in done.stdout
    assert "SANDBOX" in done.stdout


def test_a_cause_is_found(running: Ramrole) -> None:
    done = running("doctor", "--instance", "web-2", "--object", _OBJECT, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [item["cause"] for item in told["findings"]] == ["no-role-attached"]
    assert told["ok"] is False
    assert told["findings"][0]["fix"]["command"].startswith("aliyun ecs AttachInstanceRamRole")
    cloud = rr.connect("sandbox", state=running.state)
    same = rr.diagnose("web-2", _OBJECT, cloud=cloud).to_dict()
    assert same["findings"] == told["findings"]


def test_markdown_for_an_issue(running: Ramrole) -> None:
    wrong = _OBJECT.replace("example", "exmaple")
    done = running("doctor", "--instance", "web-1", "--object", wrong, "--full", "--markdown")
    assert done.returncode == 1
    assert done.stdout.startswith("**Diagnosis of web-1")
    assert "| looked at | state |" in done.stdout
    assert "testfolder/example.png" in done.stdout


def test_how_the_program_calls(running: Ramrole) -> None:
    admin = process.admin_of(process.need_running(running.state))
    admin.fault("signature-v1-refused")
    try:
        done = running("doctor", "--instance", "web-1", "--object", _OBJECT, "--signature", "V1", "--json")
    finally:
        admin.fault("signature-v1-refused", on=False)
    assert json.loads(done.stdout)["findings"][0]["cause"] == "signature-v1-refused"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--object", "sandbox-photos/a.png"), "oss://sandbox-photos/a.png"),
        (("--instnce", "web-1"), "--instance"),
        (("--signature", "V5"), "invalid choice"),
        (("--json", "--markdown"), "not allowed with"),
        (("--", "x"), "Only 'ramrole on'"),
    ],
)
def test_wrong_usage(running: Ramrole, arguments: tuple[str, ...], said: str) -> None:
    done = running.here("doctor", *arguments)
    assert done.returncode == 64
    assert said in done.stderr


def test_the_exit_code_says_how_it_ended() -> None:
    assert Diagnosis().exit_code == 0
    assert Diagnosis(advice=(found("crc-slow"),)).exit_code == 0
    assert Diagnosis(could_not_tell=("the object: no answer",)).exit_code == 2
    assert Diagnosis(findings=(found("clock-skew"),), could_not_tell=("x",)).exit_code == 1
