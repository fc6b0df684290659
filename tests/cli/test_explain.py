"""`ramrole explain`: a pasted error from a file or standard input, as text or JSON."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Ramrole

KNOWN = (
    "oss2.exceptions.NoSuchKey: {'status': 404, 'x-oss-request-id': '664AB50BAB8D903237EA79DB', 'details': "
    "{'Code': 'NoSuchKey', 'Message': 'The specified key does not exist.', 'RequestId': '664AB50BAB8D903237EA79DB', "
    "'HostId': 'my-bucket.oss-cn-hangzhou.aliyuncs.com', 'Key': 'a/b.png', 'EC': '0026-00000001'}}\n"
)


def piped(ramrole: Ramrole, text: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ramrole.command("explain", *arguments),
        input=text,
        env=ramrole.env,
        capture_output=True,
        timeout=30,
        check=False,
    )


def test_from_standard_input(ramrole: Ramrole) -> None:
    done = piped(ramrole, KNOWN.encode())
    out = done.stdout.decode()
    assert done.returncode == 0
    assert not done.stderr
    assert out.splitlines()[0] == (
        "No object has exactly this key; keys are case-sensitive and do not begin with a slash."
    )
    assert "cloud.buckets['my-bucket'].list()" in out
    assert "aliyun oss ls oss://my-bucket/" in out
    assert not ramrole.state.exists()  # it needs no sandbox, and starts none


def test_from_a_file_as_json(ramrole: Ramrole, tmp_path: Path) -> None:
    file = tmp_path / "error.txt"
    file.write_text(KNOWN, "utf-8")
    done = ramrole.here("explain", str(file), "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["known"], found["cause"], found["ec"]) == (True, "object-not-found", "0026-00000001")
    assert found["facts"] == {
        "bucket": "my-bucket", "object": "a/b.png",
        "endpoint asked": "oss-cn-hangzhou.aliyuncs.com", "region": "cn-hangzhou",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", [b"", b"   \n", b"An error occurred (AccessDenied): Access Denied", b"\xff\xfe\x00"]
)
def test_what_it_cannot_tell(ramrole: Ramrole, tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "error.txt"
    file.write_bytes(text)
    done = ramrole.here("explain", str(file))
    assert done.returncode == 2
    assert done.stdout.startswith(("There is nothing to read.", "This is no error that is known here"))


def test_a_file_that_is_not_there(ramrole: Ramrole, tmp_path: Path) -> None:
    done = ramrole.here("explain", str(tmp_path / "no.txt"))
    assert done.returncode == 1
    assert not done.stdout
    assert "could not be read: No such file or directory" in done.stderr
    assert "next step" in done.stderr


def test_wrong_usage(ramrole: Ramrole) -> None:
    done = ramrole.here("explain", "--jsn")
    assert done.returncode == 64
    assert "'--json'" in done.stderr


def test_the_error_at_the_end_of_a_long_log(ramrole: Ramrole, tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_bytes(b"2026-01-01 nothing of interest\n" * 200_000 + KNOWN.encode())
    done = ramrole.here("explain", str(file), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["cause"] == "object-not-found"


def test_no_secret_comes_out(ramrole: Ramrole) -> None:
    secret = "kQ7zY0pWm3VbT5nR8xJc2LdF6hGsA1"
    text = f"{KNOWN}AccessKeySecret: {secret}\nSecurityToken={secret}\n"
    done = piped(ramrole, text.encode(), "--json")
    assert done.returncode == 0
    assert secret.encode() not in done.stdout + done.stderr
