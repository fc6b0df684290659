"""OSS's state on disk: a killed server loses nothing acknowledged and leaves nothing half-written."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import oss2
import pytest
from oss2.models import PartInfo

from ramrole_nb.sandbox import Sandbox
from tests.sandbox.drive import Drive
from tests.sandbox.oss_help import (
    md5,
    pattern,
    read_answers,  # noqa: F401 - a fixture
)

SMALL = 100 * 1024


def files(state: Path) -> list[Path]:
    return [p for p in (state / "objects").glob("*/*") if p.is_file()]


def test_no_file_is_left_behind(drive: Drive) -> None:
    """Replaced, deleted, aborted, completed, copied, refused: each body has one row."""
    state, bucket = drive.sandbox.state, drive.bucket()
    before = len(files(state))
    for _ in range(2):
        bucket.put_object("k", b"x")
        bucket.copy_object("sandbox-photos", "k", "c")
        upload_id = bucket.init_multipart_upload("m").upload_id
        for _ in range(2):
            bucket.upload_part("m", upload_id, 1, b"x" * SMALL)
        bucket.upload_part_copy("sandbox-photos", "k", None, "m", upload_id, 2)
        bucket.complete_multipart_upload("m", upload_id, None, headers={"x-oss-complete-all": "yes"})
        upload_id = bucket.init_multipart_upload("m").upload_id
        bucket.upload_part("m", upload_id, 1, b"x")
        bucket.abort_multipart_upload("m", upload_id)
    bucket.append_object("log", 0, b"x")
    bucket.append_object("log", 1, b"y")
    for call in (
        functools.partial(bucket.put_object, "k", b"y", headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
        functools.partial(bucket.append_object, "log", 1, b"y"),
        functools.partial(bucket.put_object, "k", b"y", headers={"x-oss-forbid-overwrite": "true"}),
    ):
        with pytest.raises(oss2.exceptions.OssError):
            call()
    assert len(files(state)) == before + 4  # k, c, m, log
    bucket.batch_delete_objects(["k", "c", "m", "log"])
    assert len(files(state)) == before


def test_a_start_sweeps_and_keeps(tmp_path: Path) -> None:
    """Parts of an unfinished upload survive a restart, files of no row do not, nor does what is behind an append object."""
    with Sandbox(tmp_path / "state") as sandbox:
        bucket = Drive(sandbox).bucket()
        upload_id = bucket.init_multipart_upload("m").upload_id
        part = bucket.upload_part("m", upload_id, 1, b"part")
        bucket.append_object("log", 0, b"one")
        bucket.put_object("k", b"x", headers={"x-oss-tagging": "a=1", "x-oss-object-acl": "private"})
        state = sandbox.state
        known = set(files(state))
    orphan = next(iter(known)).with_name("0" * 32)
    orphan.write_bytes(b"half")
    for path in known:
        if path.read_bytes() == b"one":
            path.write_bytes(b"one and a half")
    with Sandbox(tmp_path / "state") as sandbox:
        bucket = Drive(sandbox).bucket()
        assert set(files(state)) == known
        assert bucket.get_object("log").read() == b"one"
        assert bucket.append_object("log", 3, b" two").next_position == 7
        assert bucket.get_object("log").read() == b"one two"
        assert bucket.get_object_acl("k").acl == "private"
        assert [p.part_number for p in bucket.list_parts("m", upload_id).parts] == [1]
        bucket.complete_multipart_upload("m", upload_id, [PartInfo(1, part.etag)])
        assert bucket.get_object("m").read() == b"part"


def test_a_broken_upload_leaves_nothing(drive: Drive) -> None:
    """A client that goes away in the middle of a part or an append."""
    bucket = drive.bucket(path_style=True, version="v1")
    upload_id = bucket.init_multipart_upload("m").upload_id
    before = len(files(drive.sandbox.state))
    host, port = drive.url.removeprefix("http://").split(":")
    for params, method in (
        ({"partNumber": "1", "uploadId": upload_id}, "PUT"),
        ({"append": "", "position": "0"}, "POST"),
    ):
        url = bucket.sign_url(method, "m", 300, slash_safe=True, params=params)
        with socket.create_connection((host, int(port))) as sock:
            path = url.removeprefix(drive.url)
            sock.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 1000000\r\n\r\n".encode()
                + b"x" * 1000
            )
    deadline = time.monotonic() + 30
    while len(files(drive.sandbox.state)) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(files(drive.sandbox.state)) == before
    assert bucket.list_parts("m", upload_id).parts == []
    assert not bucket.object_exists("m")


_SERVER = """
import sys, time
from ramrole_nb.sandbox import Sandbox
sandbox = Sandbox(sys.argv[1]).start()
print(sandbox.url, flush=True)
time.sleep(600)
"""


def start(state: Path) -> subprocess.Popen[str]:
    server = subprocess.Popen([sys.executable, "-c", _SERVER, str(state)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline().startswith("http://")
    return server


def test_kill(tmp_path: Path) -> None:
    """Kill -9 while clients write in every way: what was acknowledged is there, whole; nothing else is."""
    state = tmp_path / "state"
    with Sandbox(state) as sandbox:
        drive = Drive(sandbox)
    server = start(state)
    kept: dict[str, bytes] = {}
    seen: dict[str, int] = {}
    stopped = threading.Event()

    def client(number: int) -> None:
        bucket: Any = drive.bucket(path_style=True)
        for turn in range(10_000):
            if stopped.is_set():
                return
            body = pattern(SMALL + turn, turn * 100 + number)
            try:
                key = f"{number}/put-{turn}"
                bucket.put_object(key, body)
                kept[key] = body
                key = f"{number}/copy-{turn}"
                bucket.copy_object("sandbox-photos", f"{number}/put-{turn}", key).resp.response.close()
                kept[key] = body
                key = f"{number}/multi-{turn}"
                upload_id = bucket.init_multipart_upload(key).upload_id
                parts = [PartInfo(n, bucket.upload_part(key, upload_id, n, body).etag) for n in (1, 2)]
                bucket.complete_multipart_upload(key, upload_id, parts).resp.response.close()
                kept[key] = body * 2
                size = bucket.append_object(
                    f"{number}/log", seen.get(f"{number}/log", 0), body[:1000]
                ).next_position
                seen[f"{number}/log"] = size
            except (oss2.exceptions.RequestError, oss2.exceptions.ServerError):
                return

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    if server.stdout is not None:
        server.stdout.close()
    stopped.set()
    for thread in threads:
        thread.join()
    assert len(kept) > 20
    with Sandbox(state) as sandbox:
        bucket = Drive(sandbox).bucket(path_style=True)
        for key, body in kept.items():
            assert bucket.get_object(key).read() == body, key
        for key, size in seen.items():
            assert bucket.head_object(key).content_length >= size
        for item in oss2.ObjectIterator(bucket):
            got = bucket.get_object(item.key)
            assert len(got.read()) == item.size
            assert got.client_crc == got.server_crc, item.key
            if item.type == "Normal" and item.key not in kept:
                assert item.etag == md5(bucket.get_object(item.key).read()).hexdigest().upper()
        rows = sandbox.start_line
        assert rows["buckets"]
    named = {p.name for p in files(state)}
    with Sandbox(state) as again:
        assert {p.name for p in files(again.state)} == named
