"""Forged requests: good ones with one thing bent after signing, wrong keys and tokens, stale dates, replays.

    python -m tests.load.forge --count 100000

Whether one was accepted is read from the journal, not from the answer: a bent path that ends in 404 was accepted too.
Every so often the same request goes out unbent and must be accepted, or bending it would prove nothing.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import email.utils
import json
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, unquote

from ramrole_nb.sandbox.client import AdminClient
from tests.load import talk
from tests.load.served import Served
from tests.load.talk import Connection, Key, Request

BUCKET, OBJECT = "sandbox-photos", "testfolder/notes.txt"
STALE = (-7200.0, -960.0, 960.0, 7200.0)
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass
class Target:
    """Keys to forge with: users' and sessions', of two of each."""

    port: int
    users: tuple[Key, Key]
    sessions: tuple[Key, Key]
    proxies: dict[str, str]
    tokens: dict[str, str]


@dataclass
class Report:
    """What came of it. `accepted` names each forged request that was; it has to be empty."""

    forged: collections.Counter[str] = field(default_factory=collections.Counter)
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)
    good: int = 0
    good_refused: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    unread: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.forged.values())

    def __str__(self) -> str:
        kinds = "\n".join(f"  {name:<34} {count:>7,}" for name, count in sorted(self.forged.items()))
        return (
            f"{self.total:,} forged requests in {self.seconds:.0f} s: accepted {len(self.accepted)}; "
            f"{self.good:,} good ones between them: refused {len(self.good_refused)}\n"
            f"answers: {dict(sorted(self.statuses.items()))}\n{kinds}"
        )


# -- bending -----------------------------------------------------------------------------------------------------


def flip(rng: random.Random, value: str) -> str:
    """Return a value with one bit of it flipped, so that a visible character stays one."""
    while True:
        at, bit = rng.randrange(len(value)), 1 << rng.randrange(7)
        changed = chr(ord(value[at]) ^ bit)
        if changed.isascii() and changed.isprintable() and changed not in " ,;=/&?#%+:@[]":
            return value[:at] + changed + value[at + 1 :]


def _part(rng: random.Random, request: Request, pattern: str, *, name: str = "authorization") -> Request:
    """Flip a bit in the part of a header that a pattern's group finds."""
    value = request.header(name)
    found = re.search(pattern, value)
    assert found is not None, (pattern, value)
    return request.with_header(name, value[: found.start(1)] + flip(rng, found[1]) + value[found.end(1) :])


def bend_path(rng: random.Random, request: Request) -> Request:
    """Ask for another object than was signed."""
    path, mark, query = request.target.partition("?")
    at = rng.randrange(len(f"/{BUCKET}/"), len(path))
    other = rng.choice([c for c in _PLAIN if c != path[at]])
    return replace(request, target=path[:at] + other + path[at + 1 :] + mark + query)


def bend_query(rng: random.Random, request: Request) -> Request:
    """Flip a bit in the value of a signed parameter."""
    path, _, query = request.target.partition("?")
    pairs = [part.partition("=")[::2] for part in query.split("&")]
    able = [i for i, (n, v) in enumerate(pairs) if v]
    at = rng.choice(able)
    name, value = pairs[at]
    pairs[at] = (name, quote(flip(rng, unquote(value)), safe=""))
    return replace(request, target=path + "?" + "&".join(f"{n}={v}" for n, v in pairs))


def add_query(request: Request, more: str) -> Request:
    """Add a parameter that was not signed."""
    return replace(request, target=request.target + ("&" if "?" in request.target else "?") + more)


def other_method(request: Request, method: str) -> Request:
    """Send it with another method than was signed."""
    return replace(request, method=method)


def _odd_hour(rng: random.Random) -> float:
    return time.time() + rng.choice(STALE) + rng.uniform(-5, 5)


# -- the kinds ---------------------------------------------------------------------------------------------------


def _oss(rng: random.Random, target: Target, version: str) -> tuple[Key, Request]:
    key = rng.choice([*target.users[:1], *target.sessions])
    return key, talk.oss(key, "GET", BUCKET, OBJECT, version=version)


def _oss_forged(version: str) -> Callable[[random.Random, Target], tuple[str, Request, Request]]:
    signature = r"Signature=([0-9a-f]+)" if version == "v4" else r":(.{20})"
    key_id = r"Credential=([^/]+)" if version == "v4" else r"OSS ([^:]+)"

    def make(rng: random.Random, target: Target) -> tuple[str, Request, Request]:
        key, good = _oss(rng, target, version)
        override = talk.oss(
            key, "GET", BUCKET, OBJECT, query=[("response-content-language", "abcdef")], version=version
        )
        put = talk.oss(
            key, "PUT", BUCKET, "forged.txt", version=version, headers={"x-oss-meta-a": "abc"}, body=b"x"
        )
        ways: dict[str, Callable[[], Request]] = {
            "signature": lambda: _part(rng, good, signature),
            "key": lambda: _part(rng, good, key_id),
            "path": lambda: bend_path(rng, good),
            "method": lambda: other_method(good, rng.choice(["HEAD", "DELETE"])),
            "date": lambda: good.with_header(
                *(
                    ("x-oss-date", flip(rng, good.header("x-oss-date")))
                    if version == "v4"
                    else ("date", email.utils.formatdate(time.time() + rng.choice([-60, 60, 3]), usegmt=True))
                )
            ),
            "stale date, well signed": lambda: talk.oss(
                key, "GET", BUCKET, OBJECT, version=version, now=_odd_hour(rng)
            ),
            "query": lambda: bend_query(rng, override),
            "query added": lambda: add_query(
                good, rng.choice(["acl", "versionId=1", "response-content-type=a"])
            ),
            "header": lambda: _part(rng, put, r"(.+)", name="x-oss-meta-a"),
            "header added": lambda: good.with_header(
                rng.choice(["x-oss-meta-b", "x-oss-range-behavior"]), "standard"
            ),
            "content type": lambda: good.with_header("Content-Type", rng.choice(["text/html", "a/b"])),
            "another's secret": lambda: talk.oss(
                replace(
                    key, secret=rng.choice(target.users[1:] + target.sessions + target.users[:1]).secret[::-1]
                ),
                "GET",
                BUCKET,
                OBJECT,
                version=version,
            ),
            "no signature": lambda: good.with_header("authorization", None),
        }
        if version == "v4":
            ways["region"] = lambda: _part(rng, good, r"Credential=[^/]+/\d+/([a-z-]+)")
            ways["payload header"] = lambda: good.with_header("x-oss-content-sha256", "0" * 64)
        if key.token:
            other = next(k for k in target.sessions if k != key)
            ways |= {
                "token": lambda: _part(rng, good, r"(.+)", name="x-oss-security-token"),
                "token of another session, signed": lambda: talk.oss(
                    replace(key, token=other.token), "GET", BUCKET, OBJECT, version=version
                ),
                "no token, signed": lambda: talk.oss(
                    replace(key, token=""), "GET", BUCKET, OBJECT, version=version
                ),
            }
        else:
            ways["token of a session, user's key"] = lambda: talk.oss(
                replace(key, token=target.sessions[0].token), "GET", BUCKET, OBJECT, version=version
            )
        name = rng.choice(list(ways))
        return f"oss {version}: {name}", ways[name](), {"query": override, "header": put}.get(name, good)

    return make


def _url_forged(version: str) -> Callable[[random.Random, Target], tuple[str, Request, Request]]:
    def make(rng: random.Random, target: Target) -> tuple[str, Request, Request]:
        key = rng.choice([target.users[0], *target.sessions])
        good = talk.oss_url(key, BUCKET, OBJECT, version=version)
        ways: dict[str, Callable[[], Request]] = {
            "any parameter": lambda: bend_query(rng, good),
            "path": lambda: bend_path(rng, good),
            "method": lambda: other_method(good, rng.choice(["HEAD", "DELETE", "PUT"])),
            "parameter added": lambda: add_query(good, rng.choice(["acl", "response-content-type=a"])),
            "another's secret": lambda: talk.oss_url(
                replace(key, secret=target.users[1].secret), BUCKET, OBJECT, version=version
            ),
            "over": lambda: talk.oss_url(
                key, BUCKET, OBJECT, version=version, seconds=-rng.randrange(1, 9999)
            ),
        }
        name = rng.choice(list(ways))
        return f"url {version}: {name}", ways[name](), good

    return make


def acs3_forged(rng: random.Random, target: Target) -> tuple[str, Request, Request]:
    key = rng.choice([target.users[0], *target.sessions])
    good = talk.acs3_call(key, "Ram", "GetRole", {"RoleName": "Forge", "Unused": "abcdef"})
    left = names = good.header("authorization").partition("SignedHeaders=")[2].partition(",")[0].split(";")
    while left == names:
        left = [name for name in names if rng.random() < 0.8]
    ways: dict[str, Callable[[], Request]] = {
        "signature": lambda: _part(rng, good, r"Signature=([0-9a-f]+)"),
        "key": lambda: _part(rng, good, r"Credential=([^,]+)"),
        "query": lambda: bend_query(rng, good),
        "query added": lambda: add_query(good, "Extra=1"),
        "date": lambda: _part(rng, good, r"(.+)", name="x-acs-date"),
        "stale date, well signed": lambda: talk.acs3_call(
            key, "Ram", "GetRole", {"RoleName": "Forge"}, now=_odd_hour(rng)
        ),
        "nonce": lambda: _part(rng, good, r"(.+)", name="x-acs-signature-nonce"),
        "action": lambda: good.with_header(
            "x-acs-action", rng.choice(["DeleteRole", "ListRoles", "CreateRole"])
        ),
        "version": lambda: good.with_header("x-acs-version", rng.choice(["2014-05-26", "2015-04-01"])),
        "body": lambda: replace(good, body=b"RoleName=Other"),
        "body's hash": lambda: _part(rng, good, r"(.+)", name="x-acs-content-sha256"),
        "method": lambda: other_method(good, "GET"),
        "header not in the list": lambda: good.with_header(
            "authorization", good.header("authorization").replace(";".join(names), ";".join(left))
        ),
        "header added": lambda: good.with_header("x-acs-extra", "1"),
        "another's secret": lambda: talk.acs3_call(
            replace(key, secret=target.users[1].secret), "Ram", "GetRole", {"RoleName": "Forge"}
        ),
    }
    if key.token:
        other = next(k for k in target.sessions if k != key)
        ways |= {
            "token": lambda: _part(rng, good, r"(.+)", name="x-acs-security-token"),
            "token of another session, signed": lambda: talk.acs3_call(
                replace(key, token=other.token), "Sts", "GetCallerIdentity"
            ),
            "no token, signed": lambda: talk.acs3_call(replace(key, token=""), "Sts", "GetCallerIdentity"),
        }
    else:
        ways["token of a session, user's key"] = lambda: talk.acs3_call(
            replace(key, token=target.sessions[0].token), "Sts", "GetCallerIdentity"
        )
    name = rng.choice(list(ways))
    return f"acs3: {name}", ways[name](), good


def rpc_forged(rng: random.Random, target: Target) -> tuple[str, Request, Request]:
    key = rng.choice([target.users[0], *target.sessions])
    good = talk.rpc_call(key, "Ram", "GetRole", {"RoleName": "Forge"})
    ways: dict[str, Callable[[], Request]] = {
        "any parameter": lambda: bend_query(rng, good),
        "parameter added": lambda: add_query(good, "Extra=1"),
        "parameter twice": lambda: add_query(good, "RoleName=Other"),
        "method": lambda: other_method(good, "POST"),
        "another's secret": lambda: talk.rpc_call(
            replace(key, secret=target.users[1].secret), "Sts", "GetCallerIdentity"
        ),
    }
    if key.token:
        other = next(k for k in target.sessions if k != key)
        ways["token of another session, signed"] = lambda: talk.rpc_call(
            replace(key, token=other.token), "Sts", "GetCallerIdentity"
        )
        ways["no token, signed"] = lambda: talk.rpc_call(replace(key, token=""), "Sts", "GetCallerIdentity")
    name = rng.choice(list(ways))
    return f"rpc: {name}", ways[name](), good


FORGED_PATH, GOOD_PATH = "/latest/meta-data/zone-id", "/latest/meta-data/instance-id"


def metadata_forged(rng: random.Random, target: Target) -> tuple[str, Request, Request]:
    mine, other = rng.sample(sorted(target.tokens), 2)
    hardened = "hardened-1"
    good = talk.imds(target.proxies[mine], GOOD_PATH, headers={talk.TOKEN: target.tokens[mine]})
    token = target.tokens[mine]

    def ask(token: str, proxy: str = "") -> Request:
        return talk.imds(proxy or target.proxies[mine], FORGED_PATH, headers={talk.TOKEN: token})

    def proxy_of(name: str, user: str) -> str:
        address = target.proxies[name]
        return f"http://{user}@{address.rpartition('@')[2]}"

    users = {name: target.proxies[name].removeprefix("http://").rpartition("@")[0] for name in (mine, other)}
    (my_id, my_password), (other_id, _) = (users[name].split(":") for name in (mine, other))
    at = rng.randrange(len(token))
    ways: dict[str, Callable[[], Request]] = {
        "another instance's token": lambda: ask(target.tokens[other]),
        "token": lambda: ask(flip(rng, token)),
        "token with something in it": lambda: ask(token[:at] + rng.choice("!*.~@") + token[at:]),
        "token cut": lambda: ask(token[:at]),
        "no token where one is required": lambda: talk.imds(target.proxies[hardened], FORGED_PATH),
        "proxy password": lambda: ask(token, proxy_of(mine, f"{my_id}:{flip(rng, my_password)}")),
        "another's proxy password": lambda: ask(
            target.tokens[other], proxy_of(mine, f"{other_id}:{my_password}")
        ),
    }
    name = rng.choice(list(ways))
    return f"metadata: {name}", ways[name](), good


KINDS: tuple[Callable[[random.Random, Target], tuple[str, Request, Request]], ...] = (
    _oss_forged("v4"),
    _oss_forged("v1"),
    _url_forged("v4"),
    _url_forged("v1"),
    acs3_forged,
    rpc_forged,
    metadata_forged,
)


# -- running -----------------------------------------------------------------------------------------------------


def target_of(served: Served) -> Target:
    """Make roles, attach them, and collect keys and tokens."""
    line = served.line
    admin = talk.ops(line)
    statement = {
        "Action": "sts:AssumeRole",
        "Effect": "Allow",
        "Principal": {"Service": ["ecs.aliyuncs.com"]},
    }
    trust = json.dumps({"Version": "1", "Statement": [statement]})
    ids = {row["name"]: row["instance_id"] for row in line["instances"]}
    proxies = {row["name"]: str(row["proxy_url"]) for row in line["instances"] if row["status"] == "Running"}
    with Connection(served.port) as connection:

        def do(product: str, action: str, **params: str) -> None:
            answer = connection.send(talk.acs3_call(admin, product, action, params))
            assert answer.status == 200, answer.body

        do("Ram", "CreateRole", RoleName="Forge", AssumeRolePolicyDocument=trust)
        do(
            "Ram",
            "AttachPolicyToRole",
            RoleName="Forge",
            PolicyType="System",
            PolicyName="AdministratorAccess",
        )
        web = [ids["web-1"], ids["web-2"]]
        do(
            "Ecs",
            "AttachInstanceRamRole",
            RegionId="cn-beijing",
            RamRoleName="Forge",
            InstanceIds=json.dumps(web),
        )
        sessions = tuple(
            talk.credentials_of(connection, proxies[name], "Forge") for name in ("web-1", "web-2")
        )
        tokens = {
            name: talk.metadata_token(connection, proxies[name]) for name in ("web-1", "web-2", "batch-1")
        }
    return Target(
        served.port, (admin, talk.ops(line, "operator")), (sessions[0], sessions[1]), proxies, tokens
    )


def forge(served: Served, count: int, seed: int = 1, *, threads: int = 4) -> Report:
    """Send `count` forged requests, and see whether one was accepted."""
    target, report, lock = target_of(served), Report(), threading.Lock()
    admin = AdminClient(served.port, served.admin_token, served.state)
    seen = int(admin.journal(10**9)["last"])
    good_ids: set[str] = set()
    let_in: dict[str, dict[str, object]] = {}
    numbers = iter(range(count))
    started = time.monotonic()

    def request_id(answer: talk.Answer) -> str:
        found = answer.headers.get("x-oss-request-id", "")
        with contextlib.suppress(ValueError):
            found = found or str(json.loads(answer.body).get("RequestId", ""))
        return found

    def work() -> None:
        with Connection(target.port) as connection:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                rng = random.Random(f"{seed}/{number}")
                name, bent, good = KINDS[number % len(KINDS)](rng, target)
                while bent == good:  # some flips fall on nothing
                    name, bent, good = KINDS[number % len(KINDS)](rng, target)
                answer = connection.send(bent)
                replays: list[talk.Answer] = []
                control: talk.Answer | None = None
                if number % 16 < len(KINDS):
                    control = connection.send(good)
                    if name.startswith(("acs3", "rpc")):
                        replays = [connection.send(good) for _ in range(2)]  # the very same bytes again
                with lock:
                    report.forged[name] += 1
                    report.statuses[str(answer.status)] += 1
                    # A token request of another instance may well succeed: only what was asked for with it counts.
                    if answer.status < 400 or (name.startswith("metadata") and answer.status == 404):
                        report.accepted.append(f"{number} {name}: {answer.status} {bent}")
                    if control is not None:
                        report.good += 1
                        good_ids.add(request_id(control))
                        if control.status != 200:
                            report.good_refused.append(f"{number} {name}: {control.status} {control.body!r}")
                    for replay in replays:
                        report.forged[name.partition(":")[0] + ": replay"] += 1
                        report.statuses[str(replay.status)] += 1
                        if replay.status < 400 or replay.code != "SignatureNonceUsed":
                            report.accepted.append(f"{number} replay: {replay.status} {replay.body!r}")

    def read_journal() -> None:
        nonlocal seen
        while True:
            entries = admin.journal(seen)["entries"]
            if not entries:
                return
            report.unread += entries[0]["seq"] - seen - 1
            seen = entries[-1]["seq"]
            let_in.update({entry["request_id"]: entry for entry in entries if "principal" in entry})

    with ThreadPoolExecutor(threads) as pool:
        workers = [pool.submit(work) for _ in range(threads)]
        while not all(worker.done() for worker in workers):
            read_journal()
            time.sleep(0.2)
        for worker in workers:
            worker.result()
    read_journal()
    report.seconds = time.monotonic() - started
    report.accepted += [str(entry) for found, entry in let_in.items() if found not in good_ids]
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Forge as many as asked for, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rr-forge-") as folder, Served(Path(folder) / "state") as served:
        report = forge(served, given.count, given.seed)
    sys.stdout.write(f"{report}\njournal entries missed: {report.unread}\n")
    sys.stdout.writelines(f"ACCEPTED {line[:600]}\n" for line in report.accepted[:20])
    sys.stdout.writelines(f"REFUSED {line[:600]}\n" for line in report.good_refused[:20])
    return 1 if report.accepted or report.good_refused or report.unread else 0


if __name__ == "__main__":
    raise SystemExit(main())
