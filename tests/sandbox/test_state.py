"""The state on disk: kill -9, damaged files, unusable folders, the journal, reset.

All of it is ours (design §4, §13); no document of the vendor's speaks of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import oss2
import pytest
from alibabacloud_ecs20140526 import models as em
from alibabacloud_ram20150501 import models as rm
from alibabacloud_sts20150401.client import Client as Sts

from ramrole_nb.errors import SandboxStartFailed, StateError
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.client import AdminClient, read_runtime
from ramrole_nb.sandbox.store import Store
from tests.sandbox.drive import ECS_TRUST, WEB, Drive, curl, refused
from tests.sandbox.sign import oss_v1
from tests.sandbox.test_oss import PHOTO
from tests.support.leaks import MAY_HOLD_SECRETS, search

SERVER = """
import sys, threading
from ramrole_nb.sandbox import Sandbox
with Sandbox(state=sys.argv[1]) as sandbox:
    print(sandbox.url, flush=True)
    threading.Event().wait()
"""


class Child:
    """A sandbox in a process of its own, with what `Drive` needs of one."""

    def __init__(self, state: Path, **env: str) -> None:
        self.state = state
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(state)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        runtime = read_runtime(state)
        assert runtime is not None
        self.admin = AdminClient(runtime["port"], runtime["admin_token"], state)

    @property
    def start_line(self) -> dict[str, Any]:
        return self.admin.status()

    def journal(self, since: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.admin.journal(since)["entries"]
        return found

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def drive(self) -> Drive:
        return Drive(cast("Sandbox", self))


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        if child.process.poll() is None:
            child.kill()


def content(key: str) -> bytes:
    """An object's body, which follows from its key, so that half of one shows."""
    seed = hashlib.sha256(key.encode()).digest()
    return seed * (1 + seed[0] * 40)


def write_until_killed(drive: Drive, done: dict[str, list[Any]], number: int) -> None:
    """Create roles, put objects, attach and detach, until the server is gone; note what was acknowledged."""
    ram, bucket = drive.ram(), drive.bucket(path_style=True)
    try:
        for turn in range(100_000):
            name = f"w{number}-{turn}"
            answer = ram.create_role(
                rm.CreateRoleRequest(role_name=name, assume_role_policy_document=ECS_TRUST)
            )
            done["roles"].append((name, answer.body.request_id))
            bucket.put_object(name, content(name))
            done["objects"].append(name)
            if number == 0:
                drive.attach(role=name)
                done["attached"].append((name, turn))
                drive.detach()
                done["attached"].append(("", turn))
    except Exception:  # noqa: BLE001 - whatever the broken connection becomes in three SDKs
        return


def test_kill_9_amid_writes(tmp_path: Path, children: list[Child]) -> None:
    """Nothing acknowledged is lost, nothing is half-written; keys, port and tokens go on; the journal has every answer."""
    state = tmp_path / "state"
    done: dict[str, list[Any]] = {"roles": [], "objects": [], "attached": []}
    port, session = 0, None
    for round_ in range(3):
        child = Child(state)
        children.append(child)
        drive = child.drive()
        if session is None:
            port = child.start_line["port"]
            session = drive.session("AliyunOSSReadOnlyAccess", instance="i-2zesandboxweb2", role="Keeper")
        assert child.start_line["port"] == port
        assert drive.sts(session).get_caller_identity().status_code == 200, "a token that is out stays good"
        threads = [
            threading.Thread(target=write_until_killed, args=(drive, done, 10 * round_ + n)) for n in range(3)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        child.kill()
        for thread in threads:
            thread.join(20)
    assert len(done["roles"]) > 10
    assert len(done["objects"]) > 10
    child = Child(state)
    children.append(child)
    drive = child.drive()
    roles = [r.role_name for r in drive.ram().list_roles(rm.ListRolesRequest(max_items=1000)).body.roles.role]
    assert {name for name, _ in done["roles"]} <= set(roles)
    bucket = drive.bucket(path_style=True)
    keys = [o.key for o in bucket.list_objects_v2(max_keys=1000).object_list]
    written = [key for key in keys if key.startswith("w")]
    assert set(done["objects"]) <= set(written)
    for key in written:
        assert bucket.get_object(key).read() == content(key), f"{key} is half-written"
    rows = sum(len(b["objects"]) for b in child.start_line["buckets"])
    bodies = [p for p in (state / "objects").rglob("*") if p.is_file()]
    assert len(bodies) == rows, "no body without its object, and none missing"
    journal = {json.loads(line)["request_id"] for line in journal_lines(state)}
    assert {request_id for _, request_id in done["roles"]} <= journal
    held = drive.ecs().describe_instance_ram_role(
        em.DescribeInstanceRamRoleRequest(region_id="cn-beijing", instance_ids=json.dumps([WEB]))
    )
    name = held.body.instance_ram_role_sets.instance_ram_role_set[0].ram_role_name
    last, turn = done["attached"][-1]
    assert name in {last, "" if last else f"w0-{turn + 1}"}, "the last acknowledged one, or the one under way"


def journal_lines(state: Path) -> list[str]:
    """The journal's whole lines (a killed run may leave half of one)."""
    lines = (state / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.endswith("}")]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """Whatever stops a change half-way, also inside a nested one, leaves the state as it was."""
    store = Store(tmp_path)
    try:
        with contextlib.suppress(ZeroDivisionError), store.transaction():
            store.set_meta("a", "1")
            with store.transaction():
                store.set_meta("b", str(1 // 0))
        assert (store.get_meta("a"), store.get_meta("b")) == ("", "")
        with store.transaction():
            store.set_meta("a", "2")
    finally:
        store.close()
    store = Store(tmp_path)
    assert store.get_meta("a") == "2"
    store.close()


def test_reset_during_an_upload(drive: Drive) -> None:
    """The upload fails; the fresh world holds no object without a body."""
    request = oss_v1(drive.users["admin"], "PUT", "sandbox-photos", "k", headers={"Content-Length": "10"})
    with socket.create_connection(("127.0.0.1", drive.sandbox.start_line["port"]), timeout=10) as sock:
        sock.sendall(request.encode() + b"12345")
        bodies = sum(len(b["objects"]) for b in drive.sandbox.start_line["buckets"])
        while sum(p.is_file() for p in (drive.sandbox.state / "objects").rglob("*")) == bodies:
            time.sleep(0.01)
        drive.sandbox.reset()
        sock.sendall(b"67890")
        assert sock.recv(4096).startswith(b"HTTP/1.1 503 ")
    with pytest.raises(oss2.exceptions.NoSuchKey):
        drive.bucket().get_object("k")


# -- what cannot be used ------------------------------------------------------------------------------------------


def refuses_to_start(state: Path) -> StateError:
    with pytest.raises(StateError) as caught:
        Sandbox(state=state).start()
    error = caught.value
    assert str(state) in str(error)
    assert error.next_step
    assert "--state" in error.next_step
    return error


def a_state(folder: Path) -> Path:
    """A used state, its server ended."""
    with Sandbox(state=folder) as sandbox:
        Drive(sandbox).make_role()
    return folder


def test_no_database(tmp_path: Path) -> None:
    """A file that is no SQLite database: a clear error, and the file is left as it is."""
    path = tmp_path / "state.db"
    path.write_bytes(b"this is not a database, and long enough to be looked at" * 100)
    before = path.read_bytes()
    error = refuses_to_start(tmp_path)
    assert "cannot be read" in str(error)
    assert path.read_bytes() == before


@pytest.mark.parametrize("keep", [0.5, 0.97])
def test_truncated_database(tmp_path: Path, keep: float) -> None:
    """Pages cut off the end."""
    state = a_state(tmp_path / "s")
    path = state / "state.db"
    os.truncate(path, int(path.stat().st_size * keep))
    refuses_to_start(state)


def test_damaged_pages(tmp_path: Path) -> None:
    """Bytes overwritten in the middle."""
    state = a_state(tmp_path / "s")
    path = state / "state.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        for offset in range(4096, size - 2048, 4096):
            file.seek(offset)
            file.write(b"\xff" * 2048)
    refuses_to_start(state)


def test_state_of_another_version(tmp_path: Path) -> None:
    """A schema this program does not write: named, not touched."""
    state = a_state(tmp_path / "s")
    with sqlite3.connect(state / "state.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    assert "version 99" in str(refuses_to_start(state))


def test_a_foreign_database(tmp_path: Path) -> None:
    """Another program's SQLite file is not made ours."""
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    refuses_to_start(tmp_path)
    with sqlite3.connect(tmp_path / "state.db") as db:
        assert [row[0] for row in db.execute("SELECT name FROM sqlite_master")] == ["mine"]
    db.close()


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in the folder's place, or above it (rights do not stop root, so a file does)."""
    file = tmp_path / "file"
    file.write_text("x")
    for state in (file, file / "below"):
        assert "cannot be used" in str(refuses_to_start(state))
    assert file.read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    """A folder without rights."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    refuses_to_start(folder)


def test_one_server_a_folder(tmp_path: Path) -> None:
    """The second says who has it, and the first goes on."""
    with Sandbox(state=tmp_path / "s") as first:
        with pytest.raises(SandboxStartFailed, match=f"pid {os.getpid()}"):
            Sandbox(state=tmp_path / "s").start()
        assert Drive(first).sts().get_caller_identity().status_code == 200
        assert read_runtime(first.state) is not None, "the first one's runtime file is still there"


def test_an_occupied_port(tmp_path: Path) -> None:
    """A port that was asked for and is taken is an error; the remembered one gives way."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SandboxStartFailed, match=str(port)):
            Sandbox(state=tmp_path / "s", port=port).start()
    with Sandbox(state=tmp_path / "t") as sandbox:
        port = sandbox.start_line["port"]
    with socket.create_server(("127.0.0.1", port)), Sandbox(state=tmp_path / "t") as sandbox:
        assert sandbox.start_line["port"] != port


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Design §13: what may hold secrets has mode 0600, folders 0700."""
    with Sandbox(state=tmp_path / "s") as sandbox:
        Drive(sandbox).make_role()
        for path in [sandbox.state, *sandbox.state.rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            if path.is_dir():
                assert mode == 0o700, path
            elif path.name in MAY_HOLD_SECRETS | {"journal.jsonl"} or stat.S_ISSOCK(path.stat().st_mode):
                assert mode == 0o600, path


# -- the journal --------------------------------------------------------------------------------------------------


def test_journal_survives_and_goes_on(tmp_path: Path) -> None:
    """Entries and their numbers are there after a restart; half a line of a killed run spoils nothing."""
    state = a_state(tmp_path / "s")
    path = state / "journal.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write('{"seq":999,"time":"2026-')
    with Sandbox(state=state) as sandbox:
        before = sandbox.journal()
        assert [e["operation"] for e in before] == ["CreateRole"]
        answer = Drive(sandbox).sts().get_caller_identity()
        entry = sandbox.admin.journal_of(answer.body.request_id)
        assert entry is not None
        assert entry["seq"] > before[-1]["seq"]
    with Sandbox(state=state) as sandbox:
        assert [e["operation"] for e in sandbox.journal()] == ["CreateRole", "GetCallerIdentity"]


def test_no_secret_outside_the_files_that_may_hold_them(tmp_path: Path, children: list[Child]) -> None:
    """Signed, presigned, refused and malformed requests: no secret in the journal or any other file of the state."""
    secrets = tmp_path / "secrets"
    child = Child(tmp_path / "state", RAMROLE_SECRETS_FILE=str(secrets))
    children.append(child)
    drive = child.drive()
    session = drive.session("AliyunOSSReadOnlyAccess")
    token = drive.token()
    drive.imds("/latest/meta-data/", "-H", f"X-aliyun-ecs-metadata-token: {token}")
    drive.imds("/latest/meta-data/", "-H", f"X-aliyun-ecs-metadata-token: {token}x")
    drive.sts(session).get_caller_identity()
    rpc = Sts(drive.config(session, "sts.cn-beijing.aliyuncs.com", signature_algorithm="v2"))
    rpc.get_caller_identity()
    refused(
        lambda: Sts(
            drive.config(
                replace(session, secret="x"), "sts.cn-beijing.aliyuncs.com", signature_algorithm="v2"
            )
        ).get_caller_identity(),
        400,
        "SignatureDoesNotMatch",
    )
    for version in ("v1", "v4"):
        bucket = drive.bucket(session, version=version)
        assert bucket.get_object(PHOTO).read()
        url = bucket.sign_url("GET", PHOTO, 60, slash_safe=True)
        assert curl(url, proxy=drive.url).status == 200
        assert curl(url + "x", proxy=drive.url).status in (400, 403)
        assert curl(f"{url}&x=y", proxy=drive.proxies[WEB]).status in (200, 403)
    api = "http://ram.aliyuncs.com/?Action=x&Version=2015-05-01"
    curl("-H", f"Authorization: Bearer {session.token}", api, proxy=drive.url)
    curl("-d", f"SecurityToken={session.token}&Action=ListRoles", "http://ram.aliyuncs.com/", proxy=drive.url)
    curl(f"http://100.100.100.200/latest/?x-aliyun-ecs-metadata-token={token}", proxy=drive.proxies[WEB])
    known = secrets.read_text().split()
    assert {session.secret, session.token, token} <= set(known)
    assert len(known) > 15
    state = tmp_path / "state"
    searched = [p for p in state.rglob("*") if p.is_file() and p.name not in MAY_HOLD_SECRETS]
    assert state / "journal.jsonl" in searched
    assert list(search(searched, known)) == []
    planted = tmp_path / "planted"
    planted.write_text(f"{(state / 'journal.jsonl').read_text()} {session.token} ")
    assert list(search([planted], known)), "the search finds one that is there"


# -- reset ----------------------------------------------------------------------------------------------------------


def test_reset_puts_the_world_back_and_keeps_what_was_handed_out(tmp_path: Path) -> None:
    """Port, keys, CA, account and proxy addresses stay; roles, objects, knobs, tokens and the journal go."""
    with Sandbox(state=tmp_path / "s") as sandbox:
        drive = Drive(sandbox)
        before = sandbox.start_line
        ca = Path(before["ca_file"]).read_bytes()
        session = drive.session("AliyunOSSReadOnlyAccess")
        drive.bucket().put_object("mine", b"x")
        drive.bucket().delete_object(PHOTO)
        sandbox.set(credential_lifetime=100.0)
        last = sandbox.admin.journal()["last"]
        sandbox.reset()
        assert sandbox.start_line == before
        assert Path(before["ca_file"]).read_bytes() == ca
        assert drive.ram().list_roles(rm.ListRolesRequest()).body.roles.role == []
        assert drive.imds("/latest/meta-data/ram/security-credentials/").status == 404
        refused(lambda: drive.sts(session).get_caller_identity(), 404, "InvalidAccessKeyId.NotFound")
        assert drive.bucket().get_object(PHOTO).read()
        entries = sandbox.journal()
        assert entries
        assert entries[0]["seq"] > last
        assert [e["operation"] for e in entries][:1] == ["ListRoles"]
        files = [p for p in (sandbox.state / "objects").rglob("*") if p.is_file()]
        assert len(files) == sum(len(b["objects"]) for b in before["buckets"])
    with Sandbox(state=tmp_path / "s") as again:
        line = again.start_line
        assert (line["users"], line["port"], line["account_id"]) == (
            before["users"],
            before["port"],
            before["account_id"],
        )
    assert shutil.which("curl")
