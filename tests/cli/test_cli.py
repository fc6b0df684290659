"""`ramrole sandbox …`, `cleanup`, `--version`: what is printed, what it exits with, and what bad input is told."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ramrole_nb._version import __version__
from ramrole_nb.sandbox.client import read_runtime

if TYPE_CHECKING:
    from tests.cli.conftest import Ramrole

INSTANCE = {
    "instance_id": str,
    "region_id": str,
    "os_type": str,
    "status": str,
    "http_tokens": str,
    "proxy_url": str,
}


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


# ---- the start line (design §11: others rely on it)


def test_the_start_line(line: dict[str, Any], running: Ramrole) -> None:
    kinds: dict[str, type] = {
        "url": str,
        "port": int,
        "pid": int,
        "state": str,
        "world": str,
        "account_id": str,
        "ca_file": str,
        "users": list,
        "instances": list,
        "buckets": list,
    }
    for name, kind in kinds.items():
        assert type(line[name]) is kind, name
    assert line["url"] == f"http://127.0.0.1:{line['port']}"
    assert line["state"] == str(running.state.resolve())
    assert Path(line["ca_file"]).is_absolute()
    assert "BEGIN CERTIFICATE" in Path(line["ca_file"]).read_text()
    assert re.fullmatch(r"\d{16}", line["account_id"])
    assert line["world"] == "default"
    assert not gone(line["pid"])


def test_the_start_lines_users(line: dict[str, Any]) -> None:
    assert [user["name"] for user in line["users"]] == ["admin", "operator", "viewer"]
    for user in line["users"]:
        assert {type(user[k]) for k in ("name", "access_key_id", "access_key_secret")} == {str}
        assert "SANDBOX" in user["access_key_id"]
        assert "SANDBOX" in user["access_key_secret"]
    assert len({user["access_key_secret"] for user in line["users"]}) == 3


def test_the_start_lines_instances(line: dict[str, Any]) -> None:
    assert len(line["instances"]) == 8
    for row in line["instances"]:
        for name, kind in INSTANCE.items():
            assert type(row[name]) is kind, name
        assert re.fullmatch(r"[a-z]{2}-[a-z]+", row["region_id"])
        assert row["os_type"] in {"linux", "windows"}
        assert row["status"] in {"Running", "Stopped"}
        assert row["http_tokens"] in {"optional", "required"}
        assert re.fullmatch(
            rf"http://{row['instance_id']}:[^@/]+@127\.0\.0\.1:{line['port']}", row["proxy_url"]
        )
    assert {r["status"] for r in line["instances"]} == {"Running", "Stopped"}
    assert {r["os_type"] for r in line["instances"]} == {"linux", "windows"}
    assert {r["http_tokens"] for r in line["instances"]} == {"optional", "required"}


def test_the_start_lines_buckets(line: dict[str, Any]) -> None:
    assert {b["region_id"] for b in line["buckets"]} == {"cn-beijing", "cn-hangzhou"}
    objects = [o for b in line["buckets"] for o in b["objects"]]
    for o in objects:
        assert type(o["key"]) is str
        assert type(o["size"]) is int
        assert re.fullmatch(r"\d+", o["crc64"])
        assert re.fullmatch(r"[0-9a-f]{64}", o["sha256"])
    assert "testfolder/example.png" in {o["key"] for o in line["buckets"][0]["objects"]}


def test_the_start_line_is_one_line_and_tells_no_admin_token(running: Ramrole) -> None:
    done = running("sandbox", "start", "--json")
    assert done.stdout.count("\n") == 1
    runtime = read_runtime(running.state)
    assert runtime is not None
    assert runtime["admin_token"] not in done.stdout
    assert "knobs" not in json.loads(done.stdout)


def test_the_readable_forms_hold_no_key(running: Ramrole, line: dict[str, Any]) -> None:
    for arguments in (("sandbox", "start"), ("sandbox", "status")):
        done = running(*arguments)
        assert done.returncode == 0
        assert line["url"] in done.stdout
        assert "web-1" in done.stdout
        for user in line["users"]:
            assert user["access_key_secret"] not in done.stdout
    assert json.loads(running("sandbox", "status", "--json").stdout) == line


def test_the_files_that_hold_keys_are_mine_alone(running: Ramrole) -> None:
    assert stat.S_IMODE(running.state.stat().st_mode) == 0o700
    for name in ("runtime.json", "state.db"):
        assert stat.S_IMODE((running.state / name).stat().st_mode) == 0o600, name


# ---- starting, twice, elsewhere, wrongly


def test_start_twice_prints_the_running_ones_line(running: Ramrole, line: dict[str, Any]) -> None:
    assert running.start() == line
    assert running.start("--world", "default") == line
    assert running.start("--port", str(line["port"])) == line


def test_foreground_while_one_runs(running: Ramrole, line: dict[str, Any]) -> None:
    done = running.here("sandbox", "start", "--foreground")
    assert done.returncode == 1
    assert f"pid {line['pid']}" in done.stderr
    assert "ramrole sandbox stop" in done.stderr
    assert done.stdout == ""


def test_another_port_while_one_runs(running: Ramrole, line: dict[str, Any]) -> None:
    done = running.here("sandbox", "start", "--port", "1234")
    assert done.returncode == 1
    assert f"runs on port {line['port']}, not 1234" in done.stderr


def test_another_world_while_one_runs(
    running: Ramrole,
) -> None:
    """There is one world so far, so the other is one only this process knows."""
    from ramrole_nb.errors import SandboxError
    from ramrole_nb.sandbox import process

    with pytest.raises(SandboxError, match="holds the world 'default', not 'new-account'") as caught:
        process.ensure(running.state, world="new-account")
    assert caught.value.next_step == "change it: ramrole sandbox reset --world new-account"


def test_an_unknown_world_is_refused_before_anything_starts(ramrole: Ramrole) -> None:
    for arguments in (("start", "--world", "defualt"), ("start", "--world", "defualt", "--foreground")):
        done = ramrole.here("sandbox", *arguments)
        assert done.returncode == 64
        assert "Did you mean 'default'" in done.stderr
        assert not ramrole.state.exists()


def test_reset_to_an_unknown_world(running: Ramrole) -> None:
    done = running.here("sandbox", "reset", "--world", "defualt")
    assert done.returncode == 64
    assert "Did you mean 'default'" in done.stderr
    assert "next step" in done.stderr


def test_an_occupied_port(ramrole: Ramrole) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments in ((), ("--foreground",)):
            done = ramrole("sandbox", "start", "--port", port, *arguments)
            assert done.returncode == 1
            assert f"Port {port} of 127.0.0.1 cannot be used" in done.stderr
            assert "leave --port out" in done.stderr
            assert "Traceback" not in done.stderr
    assert read_runtime(ramrole.state) is None
    assert ramrole.start("--port", port)["port"] == int(port)  # nothing was left in the way


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "", "8 0"])
def test_a_bad_port(ramrole: Ramrole, port: str) -> None:
    done = ramrole.here("sandbox", "start", f"--port={port}")
    assert done.returncode == 64
    assert "a port is 1 to 65535" in done.stderr
    assert not ramrole.state.exists()


def test_a_state_that_is_a_file(ramrole: Ramrole, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for state in (file, file / "below"):
        for arguments in (
            ("sandbox", "start"),
            ("sandbox", "start", "--foreground"),
            ("tour",),
            ("cleanup",),
        ):
            done = ramrole.here("--state", str(state), *arguments)
            assert done.returncode == 1, done.stderr
            assert "cannot be used" in done.stderr
            assert "--state FOLDER" in done.stderr
            assert "Traceback" not in done.stderr
    assert file.read_text() == "mine"


@pytest.mark.skipif(
    os.geteuid() == 0 and not Path("/proc/self").exists(),
    reason="root may write everywhere; /proc shows a refusal",
)
def test_a_state_folder_without_rights(ramrole: Ramrole, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        state = Path("/proc/ramrole")  # no one may write there, root neither
    else:
        state = tmp_path / "locked" / "state"
        state.parent.mkdir(mode=0o500)
    done = ramrole.here("--state", str(state), "sandbox", "start")
    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    assert "RAMROLE_STATE=FOLDER" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("damage", ["not a database", "overwritten", "other version", "a folder"])
def test_a_state_file_that_cannot_be_read(ramrole: Ramrole, damage: str) -> None:
    ramrole.state.mkdir(parents=True)
    path = ramrole.state / "state.db"
    if damage == "not a database":
        path.write_text("this is no database at all, but a text of some length\n" * 100)
    elif damage == "a folder":
        path.mkdir()
    else:
        ramrole.start()
        ramrole("sandbox", "stop")
        if damage == "overwritten":
            size = path.stat().st_size
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(os.urandom(size - 4096))
        else:
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("PRAGMA user_version=77")
    before = path.read_bytes() if path.is_file() else b""
    for arguments in ((), ("--foreground",)):
        done = ramrole("sandbox", "start", *arguments)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "state" in done.stderr
        assert "next step:" in done.stderr
    assert ("version 77" in done.stderr) == (damage == "other version")
    if before:
        assert path.read_bytes() == before  # kept as it is: someone may want it back


def test_a_runtime_file_that_points_elsewhere(ramrole: Ramrole) -> None:
    """Left by a killed sandbox; its port is now another program's."""
    ramrole.start()
    runtime = json.loads((ramrole.state / "runtime.json").read_text())
    os.kill(runtime["pid"], signal.SIGKILL)
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = rude.accept()
                    with client:
                        client.recv(4096)
                        client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=serve, daemon=True).start()
        runtime["port"] = rude.getsockname()[1]
        (ramrole.state / "runtime.json").write_text(json.dumps(runtime))
        done = ramrole("sandbox", "status")
        assert done.returncode == 1
        assert "No sandbox runs" in done.stderr
        assert ramrole.start()["pid"] != runtime["pid"]
        rude.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"port": "x"}', '{"port": 1}', "\x00\x01"])
def test_a_runtime_file_that_is_none(ramrole: Ramrole, content: str) -> None:
    ramrole.state.mkdir(parents=True)
    (ramrole.state / "runtime.json").write_text(content)
    done = ramrole.here("sandbox", "status")
    assert done.returncode == 1
    assert "No sandbox runs" in done.stderr
    assert "Traceback" not in done.stderr


def test_many_starts_at_once_are_one_sandbox(ramrole: Ramrole) -> None:
    starting = [ramrole.popen("sandbox", "start", "--json") for _ in range(6)]
    lines = [json.loads(each.communicate(timeout=60)[0]) for each in starting]
    assert {each.returncode for each in starting} == {0}
    assert len({row["pid"] for row in lines}) == 1


def test_in_the_foreground(ramrole: Ramrole) -> None:
    serving = ramrole.popen("sandbox", "start", "--foreground", "--json")
    assert serving.stdout
    line = json.loads(serving.stdout.readline())
    assert line["pid"] == serving.pid
    assert json.loads(ramrole("sandbox", "status", "--json").stdout) == line
    serving.send_signal(signal.SIGINT)
    out, err = serving.communicate(timeout=10)
    assert (serving.returncode, out, err) == (0, "", "")
    assert not (ramrole.state / "runtime.json").exists()


# ---- wrong usage


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("sandbx", "start"), "sandbox"),
        (("sandbox", "strat"), "start"),
        (("sandbox", "start", "--prot", "1"), "--port"),
        (("tour", "--jsn"), "--json"),
        (("lab", "--no-browsre"), "--no-browser"),
        (("on", "web-3", "--", "true"), "web-"),
        (("sandbox", "env", "--instance", "hardend-1"), "hardened-1"),
        (("sandbox", "env", "--instance", "web-1", "--user", "opertor"), "operator"),
    ],
)
def test_a_typo_exits_64_with_the_nearest(running: Ramrole, arguments: tuple[str, ...], near: str) -> None:
    done = running.here(*arguments)
    assert done.returncode == 64, done.stderr
    assert "Did you mean" in done.stderr
    assert near in done.stderr.split("Did you mean")[1].splitlines()[0]
    assert "next step:" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sandbox",),
        ("sandbox", "env"),
        ("on",),
        ("on", "web-1"),
        ("on", "web-1", "--"),
        ("tour", "--", "x"),
        ("sandbox", "status", "--", "x"),
        ("sandbox", "status", "extra"),
        ("sandbox", "start", "--port"),
        ("tour", "--jso"),  # no abbreviations: they break when an option is added
    ],
)
def test_wrong_usage_exits_64(running: Ramrole, arguments: tuple[str, ...]) -> None:
    done = running.here(*arguments)
    assert done.returncode == 64
    assert "next step:" in done.stderr
    assert "Traceback" not in done.stderr


def test_version_and_help(ramrole: Ramrole) -> None:
    assert ramrole.here("--version").stdout == f"ramrole {__version__}\n"
    for arguments in ((), ("sandbox",), ("sandbox", "start"), ("on",), ("tour",), ("lab",), ("cleanup",)):
        done = ramrole.here(*arguments, "--help")
        assert done.returncode == 0
        assert "usage: ramrole" in done.stdout
    assert not ramrole.state.exists()


def test_the_installed_command_is_the_same() -> None:
    command = Path(sys.executable).with_name("ramrole")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"ramrole {__version__}\n"


# ---- status, stop, reset


def test_status_and_stop(ramrole: Ramrole) -> None:
    none = ramrole("sandbox", "status")
    assert none.returncode == 1
    assert "ramrole sandbox start" in none.stderr
    assert ramrole("sandbox", "stop").stdout == "no sandbox runs here\n"
    assert not ramrole.state.exists()
    line = ramrole.start()
    assert ramrole("sandbox", "stop").stdout == "stopped\n"
    assert not (ramrole.state / "runtime.json").exists()
    deadline = time.monotonic() + 5
    while not gone(line["pid"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(line["pid"])
    again = ramrole.start()
    for name in ("port", "account_id", "users", "instances", "buckets", "ca_file"):
        assert again[name] == line[name], name


def test_reset_keeps_port_keys_and_ca(running: Ramrole, line: dict[str, Any]) -> None:
    ca = Path(line["ca_file"]).read_bytes()
    made = running("tour", "--keep", "--json")
    assert made.returncode == 0, made.stdout
    assert running("cleanup", "--dry-run").stdout.startswith("would undo:")
    done = running("sandbox", "reset")
    assert (done.returncode, done.stdout) == (0, "world default is as at its start\n")
    again = running.start()
    for name in ("port", "pid", "account_id", "users", "instances"):
        assert again[name] == line[name], name
    assert [b["objects"] for b in again["buckets"]] == [b["objects"] for b in line["buckets"]]
    assert Path(again["ca_file"]).read_bytes() == ca
    assert running("cleanup").stdout == "nothing to clean up\n"


def test_after_a_kill_of_the_server(ramrole: Ramrole) -> None:
    line = ramrole.start()
    kept = ramrole("tour", "--keep", "--json")
    assert kept.returncode == 0
    os.kill(line["pid"], signal.SIGKILL)
    assert ramrole("sandbox", "status").returncode == 1
    again = ramrole.start()
    assert again["pid"] != line["pid"]
    assert (again["port"], again["users"]) == (line["port"], line["users"])
    what = ramrole("cleanup")
    assert what.returncode == 0
    assert "delete role ramrole-tour-" in what.stdout
    assert ramrole("cleanup").stdout == "nothing to clean up\n"


# ---- env, log


def test_env_makes_a_shell_the_instance(running: Ramrole, line: dict[str, Any]) -> None:
    done = running.here("sandbox", "env", "--instance", "web-1")
    assert done.returncode == 0
    url = "http://100.100.100.200/latest/meta-data"
    script = f'eval "$1"; curl -sf {url}/instance-id; echo; curl -sf {url}/region-id; env'
    shell = subprocess.run(
        ["sh", "-c", script, "sh", done.stdout],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NO_PROXY": "*"},
    )
    first, second, *rest = shell.stdout.splitlines()
    assert first == next(i["instance_id"] for i in line["instances"] if i.get("name") == "web-1")
    assert second.startswith("cn-beijing")
    left = {entry.partition("=")[0] for entry in rest}
    assert not left & {"NO_PROXY", "no_proxy", "ALIBABA_CLOUD_ACCESS_KEY_ID", "OSS_ACCESS_KEY_ID"}


def test_env_with_a_user(running: Ramrole, line: dict[str, Any]) -> None:
    done = running.here(
        "sandbox", "env", "--instance", line["instances"][0]["instance_id"], "--user", "operator"
    )
    user = line["users"][1]
    shell = subprocess.run(
        [
            "sh",
            "-c",
            'eval "$1"; echo $ALIBABA_CLOUD_ACCESS_KEY_ID $OSS_ACCESS_KEY_SECRET $https_proxy',
            "sh",
            done.stdout,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout.split() == [
        user["access_key_id"],
        user["access_key_secret"],
        line["instances"][0]["proxy_url"],
    ]


def test_log(running: Ramrole) -> None:
    running("sandbox", "reset")
    assert running("sandbox", "log").stdout == ""
    running("on", "web-1", "--", "curl", "-s", "http://100.100.100.200/latest/meta-data/region-id")
    text = running("sandbox", "log")
    assert text.returncode == 0
    assert "IMDS:GetMetadata" in text.stdout
    rows = [json.loads(row) for row in running("sandbox", "log", "--json").stdout.splitlines()]
    assert rows[-1]["operation"] == "GetMetadata"


def test_log_shows_the_last_lines_unless_more_is_asked_for(running: Ramrole) -> None:
    running("sandbox", "reset")
    many = "for i in $(seq 60); do curl -s http://100.100.100.200/latest/meta-data/region-id; done"
    running("on", "web-1", "--", "sh", "-c", many)
    text = running("sandbox", "log")
    assert len(text.stdout.splitlines()) == 50
    assert "10 earlier lines are left out" in text.stderr
    assert running("sandbox", "log", "--last", "3").stdout.splitlines() == text.stdout.splitlines()[-3:]
    assert len(running("sandbox", "log", "--last", "99").stdout.splitlines()) == 60
    assert len(running("sandbox", "log", "--json").stdout.splitlines()) == 60, (
        "ramrole policy minimal reads it"
    )
    rows = running("sandbox", "log", "--json", "--last", "2").stdout.splitlines()
    assert [json.loads(row)["operation"] for row in rows] == ["GetMetadata"] * 2
    refused = running("sandbox", "log", "--last", "0")
    assert refused.returncode == 64
    assert "from 1 on" in refused.stderr


def test_a_mistyped_option_names_the_help_of_its_command(ramrole: Ramrole) -> None:
    for given, helps in (
        (("doctor", "--instnce", "web-1"), "ramrole doctor --help"),
        (("sandbox", "log", "--lst=3"), "ramrole sandbox log --help"),
        (("tuor",), "ramrole --help"),
    ):
        done = ramrole.here(*given)
        assert done.returncode == 64
        assert f"next step: {helps}\n" in done.stderr, done.stderr
    assert "--last" in ramrole.here("sandbox", "log", "--lst=3").stderr


def seconds_of_cpu(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def test_log_follow_waits_without_spinning(running: Ramrole) -> None:
    running("sandbox", "reset")  # an empty journal
    # A shell starts its background jobs with SIGINT ignored, and so then are their children: this one is to hear it.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    following = running.popen("sandbox", "log", "--follow", "--json", preexec_fn=heard)
    try:
        time.sleep(2.0)
        before = seconds_of_cpu(following.pid)  # starting takes some, the first time most
        time.sleep(1.5)
        assert seconds_of_cpu(following.pid) - before < 0.75, "it spins"
        assert following.stdout
        for path in ("instance-id", "region-id"):
            running("on", "web-1", "--", "curl", "-s", f"http://100.100.100.200/latest/meta-data/{path}")
            entry = json.loads(following.stdout.readline())
            assert entry["url"].endswith(path)
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=10)
    finally:
        following.kill()
        following.communicate()
    assert following.returncode == 130


def test_log_of_none(ramrole: Ramrole) -> None:
    done = ramrole.here("sandbox", "log")
    assert done.returncode == 1
    assert "No sandbox runs" in done.stderr


def test_a_reader_that_goes_away(running: Ramrole) -> None:
    """`ramrole tour --json | head -1`: no traceback, and not "done"."""
    command = " ".join(running.command("tour", "--json"))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
        env=running.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "1"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert running("cleanup").returncode == 0
