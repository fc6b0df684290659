"""Many clients, and `kill -9` of the server in the middle: what was acknowledged is there, and nothing is half there.

    python -m tests.load.kill --clients 64 --seconds 60

Each client writes objects, roles and policies of its own, remembers what was acknowledged, and what was under way when
an answer failed to come. Afterwards an object is what was acknowledged last, or what was under way, and whole.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fastcrc import crc64

from tests.load import talk
from tests.load.served import Served
from tests.load.talk import Connection, Key

BUCKET = "sandbox-photos"
KEYS = 5  # objects a client writes over and over
SIZES = (0, 1, 700, 5_000, 70_000, 300_000)


@dataclass
class Client:
    """What one client may expect to find: contents by hash; None stands for nothing there."""

    number: int
    acknowledged: dict[str, str | None] = field(default_factory=dict)
    under_way: dict[str, set[str | None]] = field(default_factory=dict)
    roles: dict[str, str | None] = field(default_factory=dict)
    roles_under_way: set[str] = field(default_factory=set)
    keys: list[Key] = field(default_factory=list)
    answers: int = 0
    lost_connections: int = 0
    odd: list[str] = field(default_factory=list)


@dataclass
class Report:
    """What came of it."""

    clients: int = 0
    seconds: float = 0.0
    answers: int = 0
    lost_connections: int = 0
    restart_seconds: list[float] = field(default_factory=list)
    objects: int = 0
    roles: int = 0
    sessions: int = 0
    bad: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        back = ", ".join(f"{s:.2f} s" for s in self.restart_seconds)
        return (
            f"{self.clients} clients, {self.seconds:.0f} s, {len(self.restart_seconds)} x kill -9 (back after {back}): "
            f"{self.answers:,} answers, {self.lost_connections} tries without one; afterwards {self.objects} objects, "
            f"{self.roles} roles and {self.sessions} credentials looked at, bad: {len(self.bad)}"
        )


def content(rng: random.Random) -> bytes:
    """Return bytes that are known by their hash."""
    size = rng.choice(SIZES)
    return (rng.randbytes(64) * (size // 64 + 1))[:size]


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def work(served: Served, client: Client, admin: Key, stop: threading.Event, seed: int) -> None:
    """Write, overwrite and remove until told to stop, through restarts of the server."""
    rng = random.Random(f"{seed}/{client.number}")
    connection = Connection(served.port, timeout=30)
    proxy = served.proxy("web-1")
    while not stop.is_set():
        try:
            _step(rng, client, admin, connection, proxy)
        except OSError:
            client.lost_connections += 1
            connection.close()
            time.sleep(0.05)
    connection.close()


def _step(rng: random.Random, client: Client, admin: Key, connection: Connection, proxy: str) -> None:
    connection.open()  # where that fails, nothing is under way
    what = rng.random()
    key = f"kill/{client.number}/{rng.randrange(KEYS)}"
    if what < 0.55:
        body = content(rng)
        client.under_way.setdefault(key, set()).add(_hash(body))
        answer = connection.send(talk.oss(admin, "PUT", BUCKET, key, body=body))
        _settle(client, key, _hash(body), answer, 200)
    elif what < 0.65:
        client.under_way.setdefault(key, set()).add(None)
        answer = connection.send(talk.oss(admin, "DELETE", BUCKET, key))
        _settle(client, key, None, answer, 204)
    elif what < 0.8:
        expected = {client.acknowledged.get(key), *client.under_way.get(key, ())}
        answer = connection.send(talk.oss(admin, "GET", BUCKET, key))
        client.answers += 1
        found = _hash(answer.body) if answer.status == 200 else None
        if answer.status not in (200, 404) or found not in expected:
            client.odd.append(f"GET {key}: {answer.status} {found} not in {expected}")
    elif what < 0.95:
        _role(rng, client, admin, connection)
    else:
        got = talk.credentials_of(connection, proxy, "Kill")
        client.answers += 2
        client.keys.append(got)


def _settle(client: Client, key: str, value: str | None, answer: talk.Answer, status: int) -> None:
    client.answers += 1
    if answer.status != status:
        client.odd.append(f"{key}: {answer.status} {answer.body[:200]!r}")
        return
    client.acknowledged[key] = value
    client.under_way[key] = set()


def _role(rng: random.Random, client: Client, admin: Key, connection: Connection) -> None:
    name = f"kill-{client.number}-{rng.randrange(4)}"
    exists = client.roles.get(name) is not None
    action = rng.choice(["UpdateRole", "DeleteRole"]) if exists else "CreateRole"
    text = rng.randbytes(8).hex()
    params = {"RoleName": name}
    if action == "CreateRole":
        statement = {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Service": ["ecs.aliyuncs.com"]},
        }
        params |= {
            "AssumeRolePolicyDocument": json.dumps({"Version": "1", "Statement": [statement]}),
            "Description": text,
        }
    elif action == "UpdateRole":
        params["NewDescription"] = text
    if name in client.roles_under_way:
        return  # how its last call ended is not known: left as it is
    client.roles_under_way.add(name)
    answer = connection.send(talk.acs3_call(admin, "Ram", action, params))
    client.answers += 1
    client.roles_under_way.discard(name)
    if answer.status != 200:
        client.odd.append(f"{action} {name}: {answer.status} {answer.body[:200]!r}")
        return
    client.roles[name] = None if action == "DeleteRole" else text


def check(served: Served, clients: Sequence[Client], admin: Key, report: Report) -> None:
    """Look at everything that may be expected, through the server."""
    with Connection(served.port) as connection:
        for client in clients:
            report.bad += client.odd
            for key in {*client.acknowledged, *client.under_way}:
                answer = connection.send(talk.oss(admin, "GET", BUCKET, key))
                found = _hash(answer.body) if answer.status == 200 else None
                report.objects += 1
                expected = {client.acknowledged.get(key), *client.under_way.get(key, ())}
                if answer.status not in (200, 404) or found not in expected:
                    report.bad.append(f"{key}: {answer.status} {found} not in {expected}")
                if answer.status == 200:
                    whole = answer.headers["x-oss-hash-crc64ecma"] == str(crc64.xz(answer.body))
                    md5 = hashlib.md5(answer.body, usedforsecurity=False).hexdigest().upper()
                    if not whole or answer.headers["etag"] != f'"{md5}"':
                        report.bad.append(f"{key}: its headers are of other bytes")
            for name, text in client.roles.items():
                if name in client.roles_under_way:
                    continue
                report.roles += 1
                answer = connection.send(talk.acs3_call(admin, "Ram", "GetRole", {"RoleName": name}))
                told = answer.json()["Role"]["Description"] if answer.status == 200 else None
                if told != text:
                    report.bad.append(f"role {name}: {told} instead of {text}")
            for key_of in {key.id: key for key in client.keys}.values():
                report.sessions += 1
                answer = connection.send(talk.acs3_call(key_of, "Sts", "GetCallerIdentity"))
                if answer.status != 200:
                    report.bad.append(f"a credential handed out is not known: {answer.body[:200]!r}")


def look_at_files(state: Path, report: Report) -> None:
    """Look at the state of a stopped server: the database whole, each row's body there, no body without a row."""
    with sqlite3.connect(state / "state.db") as db:
        if (told := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            report.bad.append(f"the database: {told}")
        bodies = dict(db.execute("SELECT body, size FROM objects").fetchall())
    there = {path.name: path.stat().st_size for path in (state / "objects").glob("*/*")}
    for name, size in bodies.items():
        if there.get(name) != size:
            report.bad.append(f"body {name}: {there.get(name)} bytes instead of {size}")
    if left := set(there) - set(bodies):
        report.bad.append(f"{len(left)} bodies without an object")
    lines = (state / "journal.jsonl").read_bytes().splitlines()
    torn = 0
    for line in lines:
        try:
            json.loads(line)
        except ValueError:
            torn += 1
    if torn > len(report.restart_seconds):  # a kill may tear the line it falls on
        report.bad.append(f"{torn} lines of the journal are no JSON")


def run(folder: Path, clients: int, seconds: float, *, kills: int = 1, seed: int = 1) -> Report:
    """Let the clients work, kill the server in the middle and start it again; then look."""
    report = Report(clients)
    served = Served(folder / "state").start()
    try:
        admin = talk.ops(served.line)
        statement = {
            "Action": "sts:AssumeRole",
            "Effect": "Allow",
            "Principal": {"Service": ["ecs.aliyuncs.com"]},
        }
        trust = json.dumps({"Version": "1", "Statement": [statement]})
        vm = next(row["instance_id"] for row in served.line["instances"] if row["name"] == "web-1")
        with Connection(served.port) as connection:
            for action, product, params in (
                ("CreateRole", "Ram", {"RoleName": "Kill", "AssumeRolePolicyDocument": trust}),
                (
                    "AttachInstanceRamRole",
                    "Ecs",
                    {"RegionId": "cn-beijing", "RamRoleName": "Kill", "InstanceIds": json.dumps([vm])},
                ),
            ):
                assert connection.send(talk.acs3_call(admin, product, action, params)).status == 200
        everyone = [Client(number) for number in range(clients)]
        stop, started = threading.Event(), time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            workers = [pool.submit(work, served, client, admin, stop, seed) for client in everyone]
            try:
                for _ in range(kills):
                    time.sleep(seconds / (kills + 1))
                    served.kill()
                    began = time.monotonic()
                    served.start()
                    report.restart_seconds.append(time.monotonic() - began)
                time.sleep(max(0.5, started + seconds - time.monotonic()))
            finally:
                stop.set()
            for worker in workers:
                worker.result()
        report.seconds = time.monotonic() - started
        report.answers = sum(client.answers for client in everyone)
        report.lost_connections = sum(client.lost_connections for client in everyone)
        check(served, everyone, admin, report)
        served.kill()
        served.start()  # twice: what the second start finds has to be the same
        again = Report()
        check(served, everyone, admin, again)
        report.bad += [line for line in again.bad if line not in report.bad]
    finally:
        served.stop()
    look_at_files(served.state, report)
    if "unexpected" in (log := served.log.read_text("utf-8", "replace")):
        report.bad.append("the server's log: " + log[-2000:])
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as large as asked for, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rr-kill-") as folder:
        report = run(
            Path(folder), min(given.clients, 256), min(given.seconds, 600), kills=given.kills, seed=given.seed
        )
    sys.stdout.write(f"{report}\n" + "".join(f"BAD {line[:500]}\n" for line in report.bad[:20]))
    return 1 if report.bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
