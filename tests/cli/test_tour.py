"""`ramrole tour`: the whole path, again and again, also after a kill at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.tour import PURPOSE, STEPS

if TYPE_CHECKING:
    from ramrole_nb.cloud.session import Cloud
    from tests.cli.conftest import Ramrole


def tour(ramrole: Ramrole, *arguments: str, **more: Any) -> list[dict[str, Any]]:
    done = ramrole("tour", "--json", *arguments, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(row) for row in done.stdout.splitlines()]


def connect(ramrole: Ramrole) -> Cloud:
    return rr.connect("sandbox", state=ramrole.state)


def nothing_is_left(ramrole: Ramrole) -> None:
    cloud = connect(ramrole)
    assert [role.name for role in cloud.roles] == []
    assert not any(cloud.instances.roles(list(cloud.instances)).values())
    assert cloud.created() == []


def stated(line: dict[str, Any]) -> str:
    found: str = next(
        o["sha256"] for b in line["buckets"] for o in b["objects"] if o["key"] == "testfolder/example.png"
    )
    return found


def test_every_step_holds_and_nothing_is_left(running: Ramrole, line: dict[str, Any]) -> None:
    started = time.monotonic()
    rows = tour(running)
    assert time.monotonic() - started < 15
    assert tuple(row["step"] for row in rows) == STEPS
    for row in rows:
        assert set(row) >= {"step", "ok", "ms", "request_ids", "evidence"}
        assert row["ok"] is True
        assert row["ms"] >= 0
        assert type(row["evidence"]) is dict
    assert all(row["request_ids"] for row in rows if row["step"] != "summary")
    summary = rows[-1]
    assert summary["sha256"] == stated(line)
    picture = Path(summary["file"])
    assert picture.is_absolute()
    assert hashlib.sha256(picture.read_bytes()).hexdigest() == summary["sha256"]
    by_step = {row["step"]: row["evidence"] for row in rows}
    assert by_step["create-role"]["role"].startswith("ramrole-tour-")
    assert len(by_step["create-role"]["role"]) == len("ramrole-tour-") + 6
    assert by_step["switch"]["before"] != by_step["switch"]["after"]
    assert by_step["clean-up"]["roles_left"] == []
    journal = connect(running).sandbox
    for row in rows:
        for request_id in row["request_ids"]:
            assert journal.journal_of(request_id) is not None
    nothing_is_left(running)


def test_twice_in_a_row_and_with_an_own_folder(
    running: Ramrole, line: dict[str, Any], tmp_path: Path
) -> None:
    for _ in range(2):
        rows = tour(running, "--out", str(tmp_path / "out"))
        assert rows[-1]["sha256"] == stated(line)
        assert rows[-1]["file"] == str(tmp_path / "out" / "example.png")
    nothing_is_left(running)


def test_for_people(running: Ramrole) -> None:
    done = running("tour")
    assert done.returncode == 0
    rows = done.stdout.splitlines()
    assert [row.split()[1] for row in rows] == list(STEPS)
    assert all(row.startswith("ok") for row in rows)
    for row, step in zip(rows[:-1], STEPS, strict=False):
        assert row.endswith(PURPOSE[step])
    assert rows[-1].endswith("example.png")
    assert "sha256" not in done.stdout


def test_keep_leaves_the_roles_for_cleanup(running: Ramrole) -> None:
    rows = tour(running, "--keep")
    assert len(rows[-2]["evidence"]["kept"]) == 2
    assert len(list(connect(running).roles)) == 2
    dry = running("cleanup", "--dry-run")
    assert dry.returncode == 0
    assert dry.stdout.count("delete role ramrole-tour-") == 2
    assert len(list(connect(running).roles)) == 2
    done = running("cleanup")
    assert done.returncode == 0
    assert "nothing to clean up" not in done.stdout
    assert running("cleanup").stdout == "nothing to clean up\n"
    nothing_is_left(running)


def test_it_takes_no_role_off_someone(running: Ramrole) -> None:
    cloud = connect(running)
    role = cloud.roles.create("Mine")
    free = [
        vm
        for vm in cloud.instances
        if vm.os_type == "linux" and vm.status == "Running" and vm.network_type == "vpc"
    ]
    cloud.instances.attach(role, free[:-1])
    rows = tour(running)
    assert rows[2]["evidence"]["instance_id"] == free[-1].instance_id
    assert [cloud.instances.roles(free)[vm.instance_id] for vm in free[:-1]] == ["Mine"] * (len(free) - 1)
    free[-1].attach(role)
    done = running("tour", "--json")
    assert done.returncode == 1
    failed = [json.loads(row) for row in done.stdout.splitlines()]
    assert [row["step"] for row in failed if not row["ok"]] == ["attach", "summary"]
    assert "No running Linux instance is without a role" in failed[2]["evidence"]["error"]
    assert [r.name for r in cloud.roles] == ["Mine"]  # it cleaned up after itself all the same
    cloud.clean_up()


def test_a_step_that_does_not_hold_is_a_failure(
    running: Ramrole, line: dict[str, Any], tmp_path: Path
) -> None:
    """The picture is not the one the start line states."""
    from ramrole_nb.tour import Step, run_tour

    told: list[Step] = []
    other = json.loads(json.dumps(line))
    for bucket in other["buckets"]:
        for o in bucket["objects"]:
            o["sha256"] = "0" * 64
    assert run_tour(connect(running), other, tmp_path, told=told.append) is False
    assert [s.step for s in told if not s.ok] == ["download", "summary"]
    assert "not the one the world states" in told[4].evidence["error"]
    nothing_is_left(running)


def test_a_proxy_in_the_environment_is_never_asked(running: Ramrole) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    heard.append(client.recv(4096))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
        tour(running, env={**dict.fromkeys(names, url), "NO_PROXY": "", "no_proxy": ""})
        time.sleep(0.2)
        # The listener does hear what is sent to it.
        with socket.create_connection(listener.getsockname()) as mine:
            mine.sendall(b"hello")
        time.sleep(0.1)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert heard == [b"hello"]


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_nothing_that_cleanup_does_not_find(ramrole: Ramrole) -> None:
    line = ramrole.start()
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    for _ in range(3):
        running = ramrole.popen("tour", "--json")
        assert running.stdout
        after = chance.randrange(len(STEPS) - 2)
        for _step in range(after):
            running.stdout.readline()
        time.sleep(chance.random() * 0.03)
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL, f"seed {seed}: it had ended"
        if chance.random() < 0.5:
            rows = tour(ramrole)  # with what the killed one left still there
            assert rows[-1]["sha256"] == stated(line)
        cleaned = ramrole("cleanup")
        assert cleaned.returncode == 0, (
            f"seed {seed}, killed in step {after}: {cleaned.stdout}{cleaned.stderr}"
        )
        nothing_is_left(ramrole)


@pytest.mark.slow
@pytest.mark.parametrize("after", [2, 5])
def test_a_kill_of_the_sandbox_in_the_middle(ramrole: Ramrole, after: int) -> None:
    line = ramrole.start()
    running = ramrole.popen("tour", "--json")
    assert running.stdout
    for _ in range(after):
        running.stdout.readline()
    os.kill(line["pid"], signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode == 1
    rows = tour(ramrole)  # starts it again
    assert rows[-1]["sha256"] == stated(line)
    assert ramrole("cleanup").returncode == 0
    nothing_is_left(ramrole)


def test_killed_tours_that_hold_every_instance(running: Ramrole) -> None:
    """Each left a role attached; the next one undoes what tours left, and nothing else."""
    cloud = connect(running)
    mine = cloud.roles.create("Mine")
    free = [
        vm
        for vm in cloud.instances
        if vm.os_type == "linux" and vm.status == "Running" and vm.network_type == "vpc"
    ]
    cloud.instances.attach(mine, free[:2])
    for number, vm in enumerate(free[2:]):
        vm.attach(cloud.roles.create(f"ramrole-tour-{number:06x}"))
    tour(running)
    assert {r.name for r in cloud.roles} == {"Mine"}
    assert [cloud.instances.roles(free)[vm.instance_id] for vm in free] == [
        "Mine",
        "Mine",
        *[""] * (len(free) - 2),
    ]
    cloud.clean_up()
