"""What the vendor's page prints, run as it is printed: its Python program, its shell commands, Method 1's options.

Page: https://help.aliyun.com/zh/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance (../shared/seed).
tests/data/page_program.py.txt is its program, word for word, with its placeholder values.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.drive import HARDENED, WEB, Drive

PROGRAM = (Path(__file__).parents[1] / "data" / "page_program.py.txt").read_text(encoding="utf-8")
PHOTO = "testfolder/example.png"
PLACEHOLDERS = {
    "role_name": "'role_name'",
    "bucket_name": "'bucket_name'",
    "endpoint": "'oss-cn-beijing.aliyuncs.com'",
    "object_key": "'testfolder/example.png'",
    "local_file": "'/localpath/to/image.png'",
}


def filled(**values: str) -> str:
    """The page's program with its five values filled in and nothing else changed."""
    text = PROGRAM
    assert set(values) == set(PLACEHOLDERS)
    for name, placeholder in PLACEHOLDERS.items():
        line = f"    {name} = {placeholder}"
        assert text.count(line) == 1
        text = text.replace(line, f"    {name} = {values[name]!r}")
    changed = [(a, b) for a, b in zip(PROGRAM.splitlines(), text.splitlines(), strict=True) if a != b]
    assert all(
        a.split(" = ")[0] == b.split(" = ")[0] and a.split("#")[1:] == b.split("#")[1:] for a, b in changed
    )
    return text


def on_instance(proxy: str, **more: str) -> dict[str, str]:
    """The environment of a child process on an instance: no keys, no proxies but the instance's."""
    dropped = ("ALIBABA", "ALICLOUD", "OSS_", "HTTP", "ALL_PROXY", "NO_PROXY", "RAMROLE")
    env = {k: v for k, v in os.environ.items() if not k.upper().startswith(dropped)}
    return {**env, "http_proxy": proxy, "HTTP_PROXY": proxy, **more}


def run(program: str, proxy: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    path = folder / "program.py"
    path.write_text(program, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(path)],
        env=on_instance(proxy, **more),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        cwd=folder,
    )


def stated(drive: Drive) -> str:
    """The picture's SHA-256 as the world states it."""
    objects = drive.sandbox.start_line["buckets"][0]["objects"]
    return str(next(o["sha256"] for o in objects if o["key"] == PHOTO))


def download(drive: Drive, folder: Path, role: str) -> None:
    target = folder / "image.png"
    target.unlink(missing_ok=True)
    values = {"bucket_name": "sandbox-photos", "endpoint": "oss-cn-beijing.aliyuncs.com", "object_key": PHOTO}
    done = run(filled(role_name=role, local_file=str(target), **values), drive.proxies[WEB], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Image downloaded successfully\n"
    assert hashlib.sha256(target.read_bytes()).hexdigest() == stated(drive)


def test_the_pages_program_before_and_after_replacing_the_role(drive: Drive, tmp_path: Path) -> None:
    """The page's program, unchanged but for its five values: the same bytes, under two different identities."""
    for name in ("EcsRamRole", "OtherRole"):
        drive.make_role(name, "AliyunOSSReadOnlyAccess")
    identities = []
    for role in ("EcsRamRole", "OtherRole"):
        drive.attach(role=role)
        entries = drive.journal_after(lambda role=role: download(drive, tmp_path, role))  # type: ignore[misc]
        get = [e for e in entries if e.get("operation") == "GetObject"]
        assert [e["status"] for e in get] == [200]
        assert all(e["instance_id"] == WEB for e in entries)
        assert [e["operation"] for e in entries if e["service"] == "IMDS"] == [
            "PutToken",
            "GetRoleCredentials",
        ]
        identities.append(get[0]["principal"])
        drive.detach()
    assert identities == [
        f"acs:ram::{drive.account}:assumed-role/{role}/vm-ram-{WEB}" for role in ("EcsRamRole", "OtherRole")
    ]


def test_the_same_program_switches_identity_without_a_change(drive: Drive, tmp_path: Path) -> None:
    """The page, "Perpindahan identitas": replacing the role needs no change of the program (role name left to be found)."""
    for name in ("First", "Second"):
        drive.make_role(name, "AliyunOSSReadOnlyAccess")
    program = filled(
        role_name="",
        bucket_name="sandbox-photos",
        endpoint="oss-cn-beijing.aliyuncs.com",
        object_key=PHOTO,
        local_file=str(tmp_path / "image.png"),
    )
    seen = []
    for role in ("First", "Second"):
        drive.attach(role=role)
        since = drive.sandbox.admin.journal()["last"]
        done = run(program, drive.proxies[WEB], tmp_path)
        assert done.returncode == 0, done.stderr
        seen.append(next(e for e in drive.sandbox.journal(since) if e["service"] == "Oss")["principal"])
        assert hashlib.sha256((tmp_path / "image.png").read_bytes()).hexdigest() == stated(drive)
        drive.detach()
    assert [arn.split("/")[1] for arn in seen] == ["First", "Second"]


def test_the_pages_program_without_a_role_fails_as_the_tool_does(drive: Drive, tmp_path: Path) -> None:
    """facts/credentials-tool.md §4: the tool's text with HttpCode=404; nothing is downloaded."""
    target = tmp_path / "image.png"
    program = filled(
        role_name="EcsRamRole",
        bucket_name="sandbox-photos",
        endpoint="oss-cn-beijing.aliyuncs.com",
        object_key=PHOTO,
        local_file=str(target),
    )
    done = run(program, drive.proxies[WEB], tmp_path)
    assert done.returncode == 1
    assert "Failed to get RAM session credentials from ECS metadata service. HttpCode=404" in done.stderr


# -- Method 2: shell commands ------------------------------------------------------------------------------------

HARDENED_MODE = (
    'TOKEN=`curl -X PUT "http://100.100.100.200/latest/api/token" -H '
    '"X-aliyun-ecs-metadata-token-ttl-seconds:<validity_period_of_the_metadata_server_access_token>"` \n'
    "# Dapatkan kredensial akses temporary instance RAM role.\n"
    'curl -H "X-aliyun-ecs-metadata-token: $TOKEN" '
    "http://100.100.100.200/latest/meta-data/ram/security-credentials/<instance_RAM_role_name>"
)
NORMAL_MODE = "curl http://100.100.100.200/latest/meta-data/ram/security-credentials/<instance_RAM_role_name>"


def shell(drive: Drive, text: str, instance: str) -> subprocess.CompletedProcess[str]:
    text = text.replace("<validity_period_of_the_metadata_server_access_token>", "21600")
    text = text.replace("<instance_RAM_role_name>", "EcsRamRole")
    assert "<" not in text
    env = on_instance(drive.proxies[instance])
    return subprocess.run(
        ["sh", "-c", text], env=env, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("instance", [WEB, HARDENED])
def test_shell_commands_in_security_hardening_mode(drive: Drive, instance: str) -> None:
    """The page, Method 2, Linux, security hardening mode: letter for letter but for the two placeholders."""
    drive.make_role("EcsRamRole", "AliyunOSSReadOnlyAccess")
    drive.attach(instance)
    done = shell(drive, HARDENED_MODE, instance)
    found = json.loads(done.stdout)
    assert (found["Code"], found["AccessKeyId"]) == ("Success", drive.credential(instance).key_id)


def test_shell_command_in_normal_mode(drive: Drive) -> None:
    """The page, Method 2, "NAT mode" (normal mode), and its refusal by a hardened-only instance: 403."""
    drive.make_role("EcsRamRole", "AliyunOSSReadOnlyAccess")
    for instance in (WEB, HARDENED):
        drive.attach(instance)
    assert json.loads(shell(drive, NORMAL_MODE, WEB).stdout)["AccessKeyId"] == drive.credential().key_id
    assert "403 - Forbidden" in shell(drive, NORMAL_MODE, HARDENED).stdout


# -- Method 1: the Credentials tool's options --------------------------------------------------------------------------

METHOD_1 = """
from alibabacloud_credentials.client import Client as CredClient
from alibabacloud_credentials.models import Config as CredConfig
client = CredClient(CredConfig(type='ecs_ram_role', OPTIONS))
credential = client.get_credential()
print(credential.get_access_key_id())
"""


def method_1(
    drive: Drive, folder: Path, options: str, instance: str = WEB, **more: str
) -> tuple[subprocess.CompletedProcess[str], list[tuple[str, int, str]]]:
    """Run the page's first sample with options; return it and the requests it made (operation, status, mode)."""
    since = drive.sandbox.admin.journal()["last"]
    done = run(METHOD_1.replace("OPTIONS", options), drive.proxies[instance], folder, **more)
    entries = [e for e in drive.sandbox.journal(since) if e["service"] == "IMDS"]
    return done, [(e["operation"], e["status"], e.get("mode", "")) for e in entries]


PUT = ("PutToken", 200, "")
BAD_PUT = ("PutToken", 500, "")
LIST = ("ListRole", 200, "security hardening")
GET = ("GetRoleCredentials", 200, "security hardening")
PLAIN_GET = ("GetRoleCredentials", 200, "normal")


@pytest.fixture
def attached(drive: Drive) -> Drive:
    drive.make_role("EcsRamRole", "AliyunOSSReadOnlyAccess")
    for instance in (WEB, HARDENED):
        drive.attach(instance)
    return drive


def test_role_name_given_or_not(attached: Drive, tmp_path: Path) -> None:
    """facts/imds.md §6: with role_name 2 requests, without 4; ALIBABA_CLOUD_ECS_METADATA names it too."""
    expected = attached.credential().key_id + "\n"
    variable = {"ALIBABA_CLOUD_ECS_METADATA": "EcsRamRole"}
    runs: list[tuple[str, dict[str, str], list[Any]]] = [
        ("role_name='EcsRamRole'", {}, [PUT, GET]),
        ("", {}, [PUT, LIST, PUT, GET]),
        ("", variable, [PUT, GET]),
    ]
    for options, more, requests in runs:
        done, made = method_1(attached, tmp_path, options, **more)
        assert (done.stdout, made) == (expected, requests), done.stderr


@pytest.mark.parametrize("disable", [False, True])
def test_disable_imds_v1_on_a_hardened_only_instance(attached: Drive, tmp_path: Path, disable: bool) -> None:
    """The page: disable_imds_v1 forces the security hardening mode; where tokens work both settings use it."""
    options = f"role_name='EcsRamRole', disable_imds_v1={disable}"
    done, made = method_1(attached, tmp_path, options, HARDENED)
    assert (done.stdout, made) == (attached.credential(HARDENED).key_id + "\n", [PUT, GET])


def test_disable_imds_v1_off_where_the_token_endpoint_fails(attached: Drive, tmp_path: Path) -> None:
    """facts/imds.md §6: PUT fails and disable_imds_v1 is false: the same GET without token (normal mode)."""
    expected = attached.credential().key_id
    attached.sandbox.set(metadata_token_fails=True)
    done, made = method_1(attached, tmp_path, "role_name='EcsRamRole', disable_imds_v1=False")
    assert (done.stdout, made) == (expected + "\n", [BAD_PUT, PLAIN_GET])
    done, made = method_1(attached, tmp_path, "role_name='EcsRamRole'", HARDENED)
    assert done.returncode == 1, "normal mode is refused there"
    assert made == [BAD_PUT, ("GetRoleCredentials", 403, "normal")]
    assert "HttpCode=403" in done.stderr


def test_disable_imds_v1_on_where_the_token_endpoint_fails(attached: Drive, tmp_path: Path) -> None:
    """facts/imds.md §6: with disable_imds_v1 the failed PUT is the end: no fall-back."""
    attached.sandbox.set(metadata_token_fails=True)
    done, made = method_1(attached, tmp_path, "role_name='EcsRamRole', disable_imds_v1=True")
    assert done.returncode == 1
    assert made == [BAD_PUT]
    assert "Failed to get token from ECS Metadata Service. HttpCode=500" in done.stderr


def test_wrong_role_name_is_asked_for_twice(attached: Drive, tmp_path: Path) -> None:
    """facts/imds.md §6: 1.0.12 also retries a failed GET without the token, so a 404 is requested twice."""
    done, made = method_1(attached, tmp_path, "role_name='Wrong'")
    assert done.returncode == 1
    assert [m for m in made if m[0] == "GetRoleCredentials"] == [
        ("GetRoleCredentials", 404, "security hardening"),
        ("GetRoleCredentials", 404, "normal"),
    ]
