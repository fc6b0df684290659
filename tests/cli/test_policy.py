"""`ramrole policy …`: what is printed, the exit codes, and what bad input is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb
from ramrole_nb.policy import read_objects, trust_for_service

if TYPE_CHECKING:
    from ramrole_nb.sandbox import Sandbox
    from tests.cli.conftest import Ramrole

READ = read_objects("my-bucket", "a/")
ARN = "acs:oss:*:*:my-bucket/a/x.png"


def piped(given: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ramrole_nb", "policy", *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False, timeout=60)


def saved(folder: Path, name: str, document: Any) -> str:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return str(path)


def test_eval_says_what_is_allowed_and_why(ramrole: Ramrole, tmp_path: Path) -> None:
    file = saved(tmp_path, "mine.json", READ)
    done = ramrole.here(
        "policy", "eval", file, "--action", "oss:GetObject", "--resource", "oss://my-bucket/a/x.png"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ allowed")
    assert "Statement[0] of mine allows oss:GetObject" in done.stdout
    done = ramrole.here(
        "policy", "eval", file, "--action", "oss:PutObject", "--resource", ARN, "--json", "--why"
    )
    row = json.loads(done.stdout)
    assert (done.returncode, row["outcome"], row["allowed"]) == (1, "ImplicitDeny", False)
    assert row["possible"]
    assert len(row["trace"]) == 2
    assert "oss:PutObject" in row["documents"]["mine"]
    text = ramrole.here(
        "policy", "eval", file, "--action", "oss:PutObject", "--resource", ARN, "--why"
    ).stdout
    assert "Add a statement to mine" in text


def test_eval_exit_codes_and_the_other_documents(ramrole: Ramrole, tmp_path: Path) -> None:
    file = saved(tmp_path, "mine.json", READ)
    listing = ("policy", "eval", file, "--action", "oss:ListObjects", "--resource", "acs:oss:*:*:my-bucket")
    assert ramrole.here(*listing).returncode == 1, "no prefix is none of that prefix"
    assert ramrole.here(*listing, "--context", "oss:Prefix=a/").returncode == 0
    unsure = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*",
                                             "Condition": {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}}]}  # fmt: skip
    other = saved(tmp_path, "unsure.json", unsure)
    assert ramrole.here("policy", "eval", other, "--action", "oss:GetObject").returncode == 2
    session = saved(
        tmp_path,
        "session.json",
        {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ecs:*", "Resource": "*"}]},
    )
    done = ramrole.here(
        "policy", "eval", file, "--action", "oss:GetObject", "--resource", ARN, "--session", session, "--why"
    )
    assert done.returncode == 1
    assert "No RAM policy change can" in done.stdout
    deny = {
        "Version": "1",
        "Statement": [
            {"Effect": "Deny", "Principal": ["*"], "Action": "oss:*", "Resource": "acs:oss:*:*:my-bucket/*"}
        ],
    }
    bucket = saved(tmp_path, "bucket.json", deny)
    done = ramrole.here(
        "policy",
        "eval",
        file,
        "--action",
        "oss:GetObject",
        "--resource",
        ARN,
        "--bucket-policy",
        bucket,
        "--principal",
        "x",
    )
    assert "Statement[0] of bucket explicitly denies" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eval", "mine.jsn", "--action", "oss:GetObject"], "Did you mean 'mine.json'"),
        (["eval", "mine.json", "--action", "GetObject"], "is no action"),
        (["eval", "mine.json", "--action", "oss:Get*"], "exactly one"),
        (["eval", "mine.json", "--action", "oss:GetObject", "--context", "x"], "acs:SourceIp=10.0.0.1"),
        (
            ["eval", "trust.json", "--action", "oss:GetObject"],
            "ramrole policy lint --kind identity trust.json",
        ),
        (["eval", "noise.bin", "--action", "oss:GetObject"], "not UTF-8"),
        (["eval", "."], "--action"),
        (["lint", "."], "cannot be read"),
        (["lint", "mine.json", "--kind", "trst"], "Did you mean 'trust'"),
        (["minimal", "mine.json"], "no entry of a journal"),
        (["minimal", "--need", "raed oss://my-bucket/"], "read oss://BUCKET/PREFIX"),
        (["minimal", "x", "--need", "list buckets"], "not both"),
        (["minimal", "--", "x"], "leave the -- out"),
        (["evl"], "Did you mean 'eval'"),
    ],
)
def test_bad_input_is_told_what_to_do(
    ramrole: Ramrole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    saved(tmp_path, "mine.json", json.dumps(json.loads(READ), indent=1))
    saved(tmp_path, "trust.json", trust_for_service())
    (tmp_path / "noise.bin").write_bytes(b"\xff\xfe\x00")
    monkeypatch.chdir(tmp_path)
    done = ramrole.here("policy", *arguments)
    assert done.returncode == 64, done.stdout
    assert said in done.stderr
    assert "next step" in done.stderr
    assert "Traceback" not in done.stderr


def test_lint_says_what_is_wrong_and_where(ramrole: Ramrole, tmp_path: Path) -> None:
    good = saved(tmp_path, "good.json", READ)
    bad = saved(tmp_path, "bad.json", json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "oss:HeadObject", "Resource": "*"}]}, indent=1))  # fmt: skip
    done = ramrole.here("policy", "lint", good)
    assert (done.returncode, done.stdout) == (0, f"{good}: nothing found\n")
    done = ramrole.here("policy", "lint", good, bad)
    assert done.returncode == 1
    assert f"{bad}:2: Error: Version must be" in done.stdout
    assert "fix: Write oss:GetObject." in done.stdout
    rows = [json.loads(line) for line in ramrole.here("policy", "lint", bad, "--json").stdout.splitlines()]
    assert [row["code"] for row in rows] == ["version-of-another-cloud", "no-such-action"]
    assert {"file", "severity", "path", "line", "message", "fix"} <= set(rows[0])
    assert (
        ramrole.here(
            "policy", "lint", saved(tmp_path, "t.json", trust_for_service()), "--kind", "trust"
        ).returncode
        == 0
    )
    only = saved(
        tmp_path,
        "wide.json",
        {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*"}]},
    )
    assert ramrole.here("policy", "lint", only).returncode == 0, "a suggestion"
    assert ramrole.here("policy", "lint", only, "--strict").returncode == 1


def test_standard_input_and_hostile_bytes() -> None:
    done = piped(READ.encode(), "lint")
    assert (done.returncode, done.stdout) == (0, b"standard input: nothing found\n")
    done = piped(bytes(range(256)) * 4000, "lint", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] in ("invalid-encoding", "too-long")
    assert piped(READ.encode(), "eval", "--action", "oss:GetObject", "--resource", ARN).returncode == 0
    assert piped(b"[" * 100_000, "eval", "--action", "oss:GetObject").returncode == 64
    assert piped(b"\xff" * 1000, "minimal").returncode == 64


def test_minimal_writes_what_a_journal_needs(ramrole: Ramrole, tmp_path: Path, world: Sandbox) -> None:
    cloud = ramrole_nb.connect(world)
    role = cloud.roles.create("lab")
    role.grant("AliyunOSSReadOnlyAccess")
    vm = cloud.instances["web-1"].attach(role)
    bucket = cloud.buckets["sandbox-photos"].using(vm)
    bucket.list("testfolder/")
    bucket.head("testfolder/example.png")
    lines = "\n".join(json.dumps(entry) for entry in world.journal())
    file = saved(tmp_path, "log.jsonl", lines)
    done = ramrole.here("policy", "minimal", file, "--principal", "assumed-role/lab/", "--json")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert {action for action, _ in row["calls"]} == {"oss:ListObjects", "oss:GetObject"}
    assert {s["Action"][0] for s in row["document"]["Statement"]} == {"oss:ListObjects", "oss:GetObject"}
    plain = ramrole.here("policy", "minimal", file, "--principal", "assumed-role/lab/")
    assert json.loads(plain.stdout) == row["document"]
    assert ramrole.here("policy", "minimal", file, "--principal", "nobody").returncode == 1


def test_minimal_for_a_need(ramrole: Ramrole) -> None:
    done = ramrole.here(
        "policy", "minimal", "--need", "read oss://my-bucket/a/", "--need", "list oss://my-bucket/a/"
    )
    assert done.returncode == 0
    assert [s["Action"] for s in json.loads(done.stdout)["Statement"]] == [
        ["oss:GetObject"],
        ["oss:ListObjects"],
    ]
