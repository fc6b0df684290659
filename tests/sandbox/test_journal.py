"""What the journal tells of a request: who signed what, which policy decided, how it was answered; masked, and bounded.

All of it is ours: the cloud tells none of this.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import oss2
import pytest
from alibabacloud_ram20150501 import models as rm

from ramrole_nb.redact import MASK
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.journal import cut
from tests.sandbox.drive import READ_OSS, Caller, Drive, curl, document
from tests.sandbox.sign import oss_v1, rpc_v1, send
from tests.support.leaks import search

PICTURE = "testfolder/example.png"


def last(drive: Drive, action: Any) -> dict[str, Any]:
    return drive.journal_after(action)[-1]


def ask_rpc(drive: Drive, caller: Caller) -> int:
    return curl(f"{drive.url}/?{urlencode(rpc_v1(caller, 'ListRoles', '2015-05-01'))}").status


def test_what_was_signed(drive: Drive) -> None:
    session = drive.session("AliyunOSSReadOnlyAccess", "AliyunRAMReadOnlyAccess")
    acs3 = last(drive, lambda: drive.ram(session).list_roles(rm.ListRolesRequest()))["signed"]
    assert {"host", "x-acs-date", "x-acs-security-token"} <= set(acs3["headers"])
    assert acs3["key"] == session.key_id
    assert acs3["text"].startswith("ACS3-HMAC-SHA256\n")
    v4 = last(drive, lambda: drive.bucket(session).head_object(PICTURE))["signed"]
    assert v4["scope"].endswith("/cn-beijing/oss/aliyun_v4_request")
    assert "x-oss-security-token" in v4["headers"]
    assert v4["text"].startswith("OSS4-HMAC-SHA256\n")
    v1 = last(drive, lambda: drive.bucket(session, version="v1").head_object(PICTURE))["signed"]
    assert v1["text"].startswith("HEAD\n")
    assert f"x-oss-security-token:{MASK}\n" in v1["text"]
    assert v1["text"].endswith(f"/sandbox-photos/{PICTURE}")
    rpc = last(drive, lambda: ask_rpc(drive, session))["signed"]
    assert {"Action", "SecurityToken", "Timestamp"} <= set(rpc["parameters"])
    assert "text" not in rpc


def test_the_policy_that_decided_is_kept_as_it_was(drive: Drive) -> None:
    session = drive.session(READ_OSS)
    entry = last(drive, lambda: drive.bucket(session).head_object(PICTURE))
    found = drive.sandbox.admin.journal_of(entry["request_id"])
    assert found is not None
    decided = found["decisions"][-1]
    assert json.loads(decided["text"])["Statement"][decided["statement"]]["Action"] == [
        "oss:Get*",
        "oss:List*",
    ]
    assert decided["looked_at"] == [f"{decided['policy']} (Custom)"]
    ram = drive.ram()
    ram.create_policy_version(
        rm.CreatePolicyVersionRequest(
            policy_name=decided["policy"],
            policy_document=document(("Deny", "*", "*")),
            set_as_default=True,
        )
    )
    again = drive.sandbox.admin.journal_of(entry["request_id"])
    assert again is not None
    assert again["decisions"][-1]["text"] == decided["text"]
    with pytest.raises(oss2.exceptions.ServerError):
        drive.bucket(session).get_object(PICTURE)
    denied = drive.sandbox.journal()[-1]["decisions"][-1]
    assert (denied["outcome"], json.loads(denied["text"])["Statement"][0]["Effect"]) == (
        "EXPLICIT_DENY",
        "Deny",
    )


def test_a_session_policy_that_decides_is_kept_too(drive: Drive) -> None:
    session = drive.session(READ_OSS, session_policy=document(("Deny", "oss:GetObject", "*")))
    with pytest.raises(oss2.exceptions.ServerError):
        drive.bucket(session).get_object(PICTURE)
    decided = drive.sandbox.journal()[-1]["decisions"][-1]
    assert decided["policy_type"] == "Session"
    assert "oss:GetObject" in decided["text"]


def test_the_answer_is_noted(drive: Drive) -> None:
    entry = last(drive, lambda: drive.ram().list_roles(rm.ListRolesRequest()))
    assert entry["answer"]["type"] == "application/json"
    assert '"RequestId"' in entry["answer"]["text"]
    assert entry["answer"]["size"] >= len(entry["answer"]["text"])
    picture = last(drive, lambda: drive.bucket().get_object(PICTURE).read())["answer"]
    assert "text" not in picture
    assert picture["size"] > 1000
    text = last(drive, lambda: drive.bucket().get_object("testfolder/notes.txt").read())["answer"]
    assert "text" not in text, "an object is its owner's"


def test_no_secret_in_any_form(drive: Drive) -> None:
    session = drive.session(READ_OSS)
    token = drive.token()
    drive.imds("/latest/meta-data/instance-id", "-H", f"X-aliyun-ecs-metadata-token: {token}")
    served = next(e for e in reversed(drive.sandbox.journal()) if e.get("operation") == "GetRoleCredentials")
    assert f'"AccessKeySecret": "{MASK}"' in served["answer"]["text"].replace('":"', '": "')
    drive.bucket(session, version="v1").get_object(PICTURE).read()
    forger = Caller(session.key_id, "x" * 30, session.token)
    bad = drive.bucket(forger, version="v1")
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        bad.get_object(PICTURE)
    assert caught.value.code == "SignatureDoesNotMatch"
    assert ask_rpc(drive, forger) == 400
    url = drive.bucket(session, version="v1").sign_url("GET", PICTURE, 60)
    assert curl(url, proxy=drive.url).status == 200
    journal = drive.sandbox.state / "journal.jsonl"
    assert "SignatureDoesNotMatch" in journal.read_text()
    assert search([journal], [session.secret, session.token, token]) == []


def test_long_values_are_cut_so_that_memory_stays_level(drive: Drive) -> None:
    """The longest requests that are taken leave entries of some kilobytes; a short one is whole."""
    admin = drive.users["admin"]
    prefix = "p" * 60_000
    many = {f"x-oss-meta-{n}": "v" * 900 for n in range(60)}

    def ask() -> None:
        curl(f"{drive.url}/sandbox-photos/?prefix={prefix}")
        send(drive.url, oss_v1(admin, "PUT", "sandbox-photos", "k", headers=many).encode())
        drive.imds("/latest/" + "a" * 50_000)

    entries = drive.journal_after(ask)
    assert len(entries) == 3
    for entry in entries:
        assert len(json.dumps(entry)) < 40_000, entry["url"][:100]
    assert entries[0]["url"].endswith("characters more)")
    short = last(drive, lambda: drive.bucket().head_object(PICTURE))
    assert short["url"].endswith("example.png")
    assert "…" not in json.dumps(short, ensure_ascii=False)


def test_of_many_decisions_the_first_and_last_are_kept(drive: Drive) -> None:
    keys = [f"none/{n}" for n in range(300)]
    entry = last(drive, lambda: drive.bucket().batch_delete_objects(keys))
    assert len(entry["decisions"]) == 100
    assert entry["left_out"] == 200
    assert entry["decisions"][-1]["resource"].endswith("none/299")


def test_cut() -> None:
    assert cut("abcdef", 4) == "abcd… (2 characters more)"
    assert cut({"a": ["x" * 9]}, 4) == {"a": ["xxxx… (5 characters more)"]}
    assert cut([1, None, True, 2.5]) == [1, None, True, 2.5]
    assert len(cut({str(n): n for n in range(5000)})) == 101
    assert cut(list(range(1000)))[49:51] == [49, 950]


def test_who_only_watches_does_not_keep_an_idle_sandbox_up(world: Sandbox) -> None:
    server = world._server
    assert server is not None
    before = server.front.requests
    world.admin.journal()
    world.admin.journal_of("X")
    assert server.front.requests == before
    world.admin.status()
    assert server.front.requests == before + 1


def test_documents_are_few(drive: Drive) -> None:
    """However many policies decide, so many texts are held at most."""
    server = drive.sandbox._server
    assert server is not None
    for number in range(300):
        server.journal.add({"request_id": str(number)}, {f"d{number}": "{}"})
    held = server.journal.documents([{"decisions": [{"document": f"d{n}"}]} for n in range(300)])
    assert len(held) == 256
    assert "d299" in held
    assert "d0" not in held
