"""For each exercise: wrong states with what the verdict must say, and another way to the right one.

Every state is made with the official SDKs, curl or a program on the instance (`Hands`), never with our own functions,
except where the wrong state is about them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lessons.conftest import TRUST, Hands

__all__ = ["CASES", "Case", "Wrong"]

READ = "AliyunOSSReadOnlyAccess"
PHOTOS = "acs:oss:*:*:sandbox-photos"


@dataclass(frozen=True)
class Wrong:
    """A wrong state, and words that the verdict on it must have, in its message and among what is missing."""

    name: str
    make: Callable[[Hands], Any]
    message: str
    missing: str


@dataclass(frozen=True)
class Case:
    exercise: str
    wrong: tuple[Wrong, ...]
    other_route: Callable[[Hands], Any]


def allow(action: Any, resource: Any, **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


LISTING = allow("oss:ListObjects", PHOTOS, StringLike={"oss:Prefix": "testfolder/*"})


def _reader(h: Hands, *statements: dict[str, Any], policy: str = "mine") -> None:
    h.create_role("photo-reader")
    h.grant("photo-reader", policy, *statements)


_Q1 = Case(
    "01.q1",
    (
        Wrong(
            "it trusts another service",
            lambda h: h.create_role("photo-reader", TRUST.format('{"Service":["fc.aliyuncs.com"]}')),
            "ECS may not assume it",
            "ecs.aliyuncs.com",
        ),
        Wrong(
            "a name alike",
            lambda h: h.create_role("foto-reader"),
            "Did you mean 'foto-reader'",
            "exactly this",
        ),
    ),
    lambda h: h.create_role("photo-reader"),
)

_Q2 = Case(
    "01.q2",
    (
        Wrong(
            "read everything",
            lambda h: _reader(h, policy=READ),
            f"more than asked, by {READ}",
            "private/salaries",
        ),
        Wrong(
            "no listing",
            lambda h: _reader(h, allow("oss:GetObject", f"{PHOTOS}/testfolder/*")),
            "not enough",
            "list the names",
        ),
        Wrong(
            "no slash before the star",
            lambda h: _reader(h, allow("oss:GetObject", f"{PHOTOS}/testfolder*"), LISTING),
            "more than asked, by mine",
            "testfolder-old/",
        ),
        Wrong(
            "one object only",
            lambda h: _reader(h, allow("oss:GetObject", f"{PHOTOS}/testfolder/example.png"), LISTING),
            "not enough",
            "any other object",
        ),
        Wrong(
            "writing too, and no reading",
            lambda h: _reader(h, allow("oss:PutObject", f"{PHOTOS}/testfolder/*"), LISTING),
            "It also lacks something",
            "must not write",
        ),
    ),
    lambda h: _reader(
        h,
        allow(["oss:GetObject", "oss:GetObjectAcl"], f"{PHOTOS}/testfolder/*"),
        allow("oss:ListObjects", PHOTOS, StringLike={"oss:Prefix": ["testfolder/*"]}),
        {"Effect": "Deny", "Action": "*", "Resource": "acs:oss:*:*:sandbox-backup*"},
    ),
)

_Q3 = Case(
    "01.q3",
    (
        Wrong(
            "misspelt",
            lambda h: h.trust("broken-trust", '{"Service":["ecs.aliyun.com"]}'),
            "'ecs.aliyun.com' is close",
            "ecs.aliyuncs.com",
        ),
        Wrong(
            "the wrong one is still trusted",
            lambda h: h.trust("broken-trust", '{"Service":["ecs.aliyuncs.com","oss.aliyuncs.com"]}'),
            "so may oss.aliyuncs.com",
            "oss.aliyuncs.com must not",
        ),
        Wrong(
            "an account instead of a service",
            lambda h: h.trust("broken-trust", '{"RAM":["acs:ram::1234567890123456:root"]}'),
            "it trusts acs:ram::1234567890123456:root",
            "ecs.aliyuncs.com",
        ),
    ),
    lambda h: h.trust("broken-trust", '{"Service":["ecs.aliyuncs.com"]}'),
)


def _then(*steps: Callable[[Hands], Any]) -> Callable[[Hands], None]:
    def make(h: Hands) -> None:
        for step in steps:
            step(h)

    return make


_Q4 = Case(
    "02.q1",
    (
        Wrong(
            "another role",
            lambda h: h.attach("EcsRamRole", "web-2"),
            "has the role EcsRamRole",
            "photo-reader",
        ),
        Wrong(
            "elsewhere", lambda h: h.attach("photo-reader", "batch-1"), "on batch-1, not on web-2", "web-2"
        ),
        Wrong(
            "trust taken away later",
            _then(
                lambda h: h.attach("photo-reader", "web-2"),
                lambda h: h.trust("photo-reader", '{"Service":["oss.aliyuncs.com"]}'),
            ),
            "no longer names ECS",
            "trust policy",
        ),
    ),
    lambda h: h.attach("photo-reader", "web-2"),
)

_Q5 = Case(
    "02.q2",
    (
        Wrong("one of two", lambda h: h.attach("batch-worker", "batch-2"), "Half done: batch-2", "batch-1"),
        Wrong(
            "another role",
            lambda h: h.attach("new-reader", "batch-1", "batch-2"),
            "batch-1 has new-reader",
            "batch-2",
        ),
    ),
    lambda h: h.attach("batch-worker", "batch-1", "batch-2"),
)

_Q6 = Case(
    "02.q3",
    (
        Wrong("the gap", lambda h: h.detach("hardened-1"), "This is the gap", "new-reader"),
        Wrong(
            "another one",
            _then(lambda h: h.detach("hardened-1"), lambda h: h.attach("batch-worker", "hardened-1")),
            "has the role batch-worker",
            "new-reader",
        ),
        Wrong(
            "the old one deleted",
            _then(
                lambda h: h.detach("hardened-1"),
                lambda h: h.attach("new-reader", "hardened-1"),
                lambda h: h.delete_role("old-reader"),
            ),
            "old-reader was deleted",
            "old-reader",
        ),
    ),
    _then(lambda h: h.detach("hardened-1"), lambda h: h.attach("new-reader", "hardened-1")),
)

_Q7 = Case(
    "03.q1",
    (
        Wrong(
            "off",
            lambda h: h.metadata_options("web-2", "disabled", "required"),
            "no metadata at all",
            "HttpEndpoint",
        ),
        Wrong(
            "another",
            lambda h: h.metadata_options("batch-1", "enabled", "required"),
            "batch-1 was hardened",
            "web-2",
        ),
    ),
    lambda h: h.metadata_options("web-2", "enabled", "required"),
)

_BASE = "http://100.100.100.200/latest/"
_ROLES = _BASE + "meta-data/ram/security-credentials/"
_TTL = "X-aliyun-ecs-metadata-token-ttl-seconds: 300"


def _curl(*arguments: str, instance: str = "windows-1") -> Callable[[Hands], Any]:
    return lambda h: h.on(instance, "curl", "-s", "-o", "/dev/null", *arguments)


_Q8 = Case(
    "03.q2",
    (
        Wrong(
            "normal mode", _curl(f"{_ROLES}windows-reader"), "in normal mode", "X-aliyun-ecs-metadata-token"
        ),
        Wrong("wrong name", _curl(f"{_ROLES}EcsRamRole"), "was refused", "200"),
        Wrong("a token only", _curl("-X", "PUT", f"{_BASE}api/token", "-H", _TTL), "has a token, but", "GET"),
        Wrong("the name only", _curl(_ROLES), "asked for the role's name, but", "<role name>"),
    ),
    lambda h: h.curl_credential("windows-1", "windows-reader"),
)


def _fetch(h: Hands) -> None:
    h.curl_credential("windows-1", "windows-reader")


def _expire(h: Hands) -> None:
    h.sandbox.admin.expire()


_Q9 = Case(
    "03.q3",
    (
        Wrong("twice the same", _then(_fetch, _fetch), "2 times, and each time it was the same", "has ended"),
        Wrong("not fetched again", _then(_fetch, _expire), "fetched last is over", "fresh"),
        Wrong(
            "again without a token",
            _then(_fetch, _expire, _curl(f"{_ROLES}windows-reader")),
            "fresh credential was fetched in normal mode",
            "X-aliyun-ecs-metadata-token",
        ),
        Wrong("no role left", _then(_fetch, lambda h: h.detach("windows-1")), "no role now", "a role"),
    ),
    # Detached and attached again, the instance's next credential is another one.
    _then(_fetch, lambda h: h.detach("windows-1"), lambda h: h.attach("windows-reader", "windows-1"), _fetch),
)

NOTES = "testfolder/notes.txt"


def _head(h: Hands) -> None:
    h.cloud.buckets["sandbox-photos"].using(h.cloud.instances["web-2"]).head(NOTES)


_Q10 = Case(
    "04.q1",
    (
        Wrong(
            "AccessKey",
            lambda h: h.bucket("sandbox-photos").get_object(NOTES).read(),
            "AccessKey of user/admin",
            "role",
        ),
        Wrong("only its head", _head, "did not download", "GET"),
        Wrong(
            "not allowed",
            _then(
                lambda h: h.revoke("photo-reader"),
                lambda h: _refused(h, "web-2", "photo-reader", "sandbox-photos", NOTES),
            ),
            "HTTP 403: Nothing allows oss:GetObject",
            "allowed",
        ),
        Wrong(
            "capitals",
            lambda h: _refused(h, "web-2", "photo-reader", "sandbox-photos", "testfolder/Notes.txt"),
            "asked for testfolder/Notes.txt, and got HTTP 404",
            "allowed",
        ),
        Wrong(
            "another instance",
            _then(
                lambda h: h.attach("photo-reader", "windows-1"),
                lambda h: h.sdk_download("windows-1", "photo-reader", "sandbox-photos", NOTES),
            ),
            "which is not web-2",
            "web-2's role",
        ),
    ),
    lambda h: h.sdk_download("web-2", "photo-reader", "sandbox-photos", NOTES),
)


def _refused(h: Hands, instance: str, role: str, bucket: str, key: str) -> None:
    try:
        h.sdk_download(instance, role, bucket, key)
    except AssertionError as error:
        assert "'status': 40" in str(error)  # noqa: PT017 - the program's own message
    else:
        raise AssertionError("it should have been refused")


def _copy(h: Hands) -> Path:
    path = h.folder / "example-copy.png"
    h.bucket("sandbox-photos").get_object_to_file("testfolder/example.png", str(path))
    return path


def _altered(h: Hands) -> None:
    path = _copy(h)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(h: Hands) -> None:
    path = _copy(h)
    path.write_bytes(path.read_bytes()[:-10])


def _longer(h: Hands) -> None:
    path = _copy(h)
    path.write_bytes(path.read_bytes() + b"\n")


_Q11 = Case(
    "04.q2",
    (
        Wrong("one bit", _altered, "its bytes differ", "very bytes"),
        Wrong("cut off", _cut, "cut off", "10 more bytes"),
        Wrong("longer", _longer, "object only", "nothing besides"),
        Wrong("a folder", lambda h: (h.folder / "example-copy.png").mkdir(), "is a folder", "a file named"),
    ),
    _copy,
)


def _backup(h: Hands, instance: str, *, granted: bool) -> None:
    if granted:
        h.grant("backup-reader", READ)
    if instance != "hardened-1":
        h.attach("backup-reader", instance)
    download(h, instance, granted=granted)


_DOWNLOAD = """
import sys, oss2
sys.path.insert(0, sys.argv[1])
from plain_sdk_example import RoleCredentials
auth = oss2.ProviderAuthV4(RoleCredentials("backup-reader"))
bucket = oss2.Bucket(auth, "http://oss-cn-hangzhou.aliyuncs.com", "sandbox-backup", region="cn-hangzhou")
try:
    bucket.get_object("readme.txt").read()
except oss2.exceptions.AccessDenied:
    print("denied")
"""


def download(h: Hands, instance: str, *, granted: bool) -> None:
    notebooks = str(Path(__file__).parents[2] / "notebooks")
    assert ("denied" in h.on(instance, sys.executable, "-c", _DOWNLOAD, notebooks)) != granted


_Q12 = Case(
    "04.q3",
    (
        Wrong(
            "no permission",
            lambda h: _backup(h, "hardened-1", granted=False),
            "HTTP 403",
            "may read sandbox-backup",
        ),
        Wrong(
            "from its own region",
            lambda h: _backup(h, "batch-1", granted=True),
            "batch-1 is in cn-hangzhou",
            "cn-beijing",
        ),
        Wrong(
            "AccessKey",
            lambda h: h.bucket("sandbox-backup", "cn-hangzhou").get_object("readme.txt").read(),
            "AccessKey of user/admin",
            "signed with the role",
        ),
    ),
    lambda h: _backup(h, "hardened-1", granted=True),
)


def _instead(role: str, policy: str, *statements: dict[str, Any]) -> Callable[[Hands], Any]:
    return _then(lambda h: h.revoke(role), lambda h: h.grant(role, policy, *statements))


FOLDER_ONLY = json.dumps({"Version": "1", "Statement": [allow("oss:*", f"{PHOTOS}/testfolder/*")]})

_Q13 = Case(
    "05.q1",
    (
        Wrong("no role", lambda h: h.detach("windows-1"), "no role, so", "a role on windows-1"),
        Wrong(
            "nothing at all",
            lambda h: h.revoke("windows-reader"),
            "too much was taken away",
            "example.png must be",
        ),
        Wrong(
            "the whole bucket",
            _instead("windows-reader", "w", allow("oss:GetObject", f"{PHOTOS}/*")),
            "can still read sandbox-photos/private",
            "salaries.csv must be refused",
        ),
        Wrong(
            "the wrong folder",
            _instead("windows-reader", "w", allow("oss:GetObject", f"{PHOTOS}/private/*")),
            "And it cannot read testfolder/example.png",
            "notes.txt must be readable",
        ),
        Wrong(
            "trust gone",
            lambda h: h.trust("windows-reader", '{"Service":["oss.aliyuncs.com"]}'),
            "gets no credential",
            "trust policy",
        ),
    ),
    _then(
        lambda h: h.detach("windows-1"),
        lambda h: h.attach("windows-reader", "windows-1", policy=FOLDER_ONLY),
    ),
)


def _writer(*statements: dict[str, Any], policy: str = "writes") -> Callable[[Hands], Any]:
    return _then(
        lambda h: h.create_role("my-writer"),
        lambda h: h.grant("my-writer", policy, *statements),
        lambda h: h.detach("web-2"),
        lambda h: h.attach("my-writer", "web-2"),
    )


_PUT = allow("oss:PutObject", f"{PHOTOS}/reports/*")

_Q14 = Case(
    "05.q2",
    (
        Wrong(
            "the reader widened",
            lambda h: h.grant("photo-reader", "w", _PUT),
            "itself may write",
            "another role",
        ),
        Wrong("no role", lambda h: h.detach("web-2"), "no role now", "a role on web-2"),
        Wrong("it cannot write", _writer(policy=READ), "may not write in reports/", "oss:PutObject"),
        Wrong(
            "everywhere",
            _writer(allow("oss:PutObject", f"{PHOTOS}/*")),
            "elsewhere too",
            "private/new.csv must not",
        ),
        Wrong(
            "another bucket too",
            _writer(_PUT, allow("oss:PutObject", "acs:oss:*:*:sandbox-backup/*")),
            "in sandbox-backup too",
            "one bucket",
        ),
        Wrong(
            "the guided role",
            _then(lambda h: h.detach("web-2"), lambda h: h.attach("EcsRamRole", "web-2")),
            "role of the guided path",
            "of its own",
        ),
    ),
    _writer(_PUT),
)

_LOGS = json.dumps({"Version": "1", "Statement": [allow("oss:Get*", "acs:oss:*:*:sandbox-backup/logs/*")]})


def _again(instance: str, policy: str, role: str = "batch-worker") -> Callable[[Hands], Any]:
    return _then(lambda h: h.detach(instance), lambda h: h.attach(role, instance, policy=policy))


_Q15 = Case(
    "05.q3",
    (
        Wrong("two roles", _again("batch-2", _LOGS, "EcsRamRole"), "those are two roles", "one and the same"),
        Wrong(
            "the role itself narrowed",
            _instead("batch-worker", "w", allow("oss:GetObject", "acs:oss:*:*:sandbox-backup/logs/*")),
            "the role itself was narrowed",
            "batch-1 reads all",
        ),
        Wrong("the wrong one", _again("batch-1", _LOGS), "batch-1 that was narrowed", "batch-2 only logs/"),
        Wrong(
            "nothing in common",
            _again("batch-2", FOLDER_ONLY),
            "reads nothing any more",
            "logs/2026-01-01.log",
        ),
        Wrong("left without", lambda h: h.detach("batch-2"), "batch-2 has no role", "a role on batch-2"),
    ),
    _again("batch-2", _LOGS),
)

_Q16 = Case(
    "07.q1",
    (
        Wrong(
            "detached only",
            lambda h: h.detach("stopped-1"),
            "the role still exists, and holds",
            "no role retired-app",
        ),
        Wrong(
            "policy only",
            lambda h: h.revoke("retired-app"),
            "but stopped-1 still has it",
            "stopped-1 without",
        ),
        Wrong(
            "bare",
            _then(lambda h: h.detach("stopped-1"), lambda h: h.revoke("retired-app")),
            "is bare now",
            "no role retired-app",
        ),
        Wrong("the neighbour", lambda h: h.revoke("kept-app"), "kept-app has lost its policy", READ),
        Wrong(
            "the neighbour deleted", lambda h: h.delete_role("kept-app"), "kept-app was deleted", "kept-app"
        ),
    ),
    _then(lambda h: h.detach("stopped-1"), lambda h: h.delete_role("retired-app")),
)

_Q17 = Case(
    "07.q2",
    (
        Wrong(
            "one of two",
            lambda h: h.bucket("sandbox-photos").delete_object("scratch/one.txt"),
            "One of the two",
            "two.txt",
        ),
        Wrong(
            "too much",
            lambda h: h.bucket("sandbox-photos").batch_delete_objects(
                ["scratch/one.txt", "testfolder/notes.txt"]
            ),
            "not yours to delete",
            "testfolder/notes.txt",
        ),
    ),
    lambda h: h.bucket("sandbox-photos").batch_delete_objects(["scratch/one.txt", "scratch/two.txt"]),
)


def _cleanup_command(h: Hands) -> None:
    command = [sys.executable, "-m", "ramrole_nb", "--state", str(h.sandbox.state), "cleanup", "--yes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


_Q18 = Case(
    "07.q3",
    (
        Wrong(
            "made again by another tool",
            _then(_cleanup_command, lambda h: h.create_role("forgotten")),
            "still has forgotten",
            "no role forgotten",
        ),
        Wrong(
            "only one role",
            lambda h: h.cloud.roles["kept-app"].delete(revoke=True),
            "Still here",
            "EcsRamRole",
        ),
        Wrong(
            "roles, but no objects",
            _then(
                lambda h: h.cloud.roles["kept-app"].delete(revoke=True),
                lambda h: h.cloud.instances.detach(["web-1", "stopped-1"]),
                lambda h: h.cloud.roles["retired-app"].delete(revoke=True),
                lambda h: h.cloud.roles["EcsRamRole"].delete(revoke=True),
            ),
            "The roles are gone",
            "scratch/one.txt",
        ),
    ),
    _cleanup_command,
)

CASES = (
    *(_Q1, _Q2, _Q3, _Q4, _Q5, _Q6, _Q7, _Q8, _Q9),
    *(_Q10, _Q11, _Q12, _Q13, _Q14, _Q15, _Q16, _Q17, _Q18),
)
