"""Exercises of notebook 05: another identity for the same program, and as little as it needs."""

from __future__ import annotations

from .. import policy
from ..cloud.session import Cloud
from ..errors import MetadataError, NoRoleAttached
from .exercise import Exercise
from .looking import GUIDED_ROLE, Look
from .n01_create_a_role import BUCKET, FOLDER, READER
from .n03_credentials import WINDOWS_ROLE
from .shown import sentence
from .starting import Setup

__all__ = ["EXERCISES"]

WIDE = "AliyunOSSReadOnlyAccess"


class OnlyThatFolder(Exercise):
    title = "Only that folder, any way you like"
    task = (
        f"Let a program on windows-1 read the objects in {FOLDER} of {BUCKET}, and no others. Another role, another policy "
        "or a session policy: any way is right. The check tries it with the instance's own credential."
    )
    hints = (
        f"At the start windows-1 has {WINDOWS_ROLE} with {WIDE}, which reads every object of the account.",
        "Narrow the role (Revoke policy, then Grant document), or attach it with a session policy, or another role.",
        f"Write the document writes the policy (typed: rr.policy.read_objects({BUCKET!r}, {FOLDER!r})).",
    )
    praise = (
        f"Tried with windows-1's own credential: {FOLDER} can be read, and nothing else of what was tried."
    )

    def start(self, setup: Setup) -> None:
        setup.role(WINDOWS_ROLE, WIDE)
        setup.attach(WINDOWS_ROLE, "windows-1")

    def look(self, see: Look) -> None:
        vm = see.vm("windows-1")
        try:
            photos, backup = see.using(vm, BUCKET), see.using(vm, "sandbox-backup")
        except NoRoleAttached:
            if see.role(WINDOWS_ROLE) is None:
                raise see.not_attempted(
                    "windows-1 has no role.", next_step="lesson.prepare() sets it up"
                ) from None
            raise see.not_yet(
                "windows-1 has no role, so a program there can read nothing at all.",
                "a role on windows-1",
                next_step="Attach role (typed: cloud.instances['windows-1'].attach(role))",
            ) from None
        except MetadataError as error:
            if error.status != 200:
                raise
            raise see.not_yet(
                f"windows-1 has {vm.role_name}, but gets no credential of it: {error.reason}",
                "a trust policy with the service ecs.aliyuncs.com",
            ) from None
        lacking = [key for key in (f"{FOLDER}example.png", f"{FOLDER}notes.txt") if not photos.reads(key)]
        others = ("private/salaries.csv", "reports/2026/sales.csv", "Testfolder/Example.PNG.txt")
        excess = [f"{BUCKET}/{key}" for key in others if photos.reads(key)]
        excess += ["sandbox-backup/readme.txt"] if backup.reads("readme.txt") else []
        if excess:
            role = see.role(vm.role_name)
            held = [named.name for named in role.policies()] if role is not None else []
            if not lacking and vm.role_name == WINDOWS_ROLE and held == [WIDE]:
                raise see.not_attempted(
                    f"windows-1 still has {WINDOWS_ROLE} with {WIDE}: it reads everything."
                )
            more = f" And it cannot read {sentence(lacking)}." if lacking else ""
            raise see.not_yet(
                f"windows-1 can still read {sentence(excess)}.{more}",
                *(f"{key} must be refused" for key in excess),
                *(f"{key} must be readable" for key in lacking),
                next_step=f"its role {vm.role_name} holds {sentence(held) or 'nothing by itself'}",
            )
        if lacking:
            raise see.not_yet(
                f"Nothing else can be read any more, but {sentence(lacking)} neither: too much was taken away.",
                *(f"{key} must be readable" for key in lacking),
                next_step="mind the slash and the star at the resource's end",
            )

    def solve(self, cloud: Cloud) -> None:
        vm = cloud.instances["windows-1"]
        role = cloud.roles.get("windows-reader") or cloud.roles.create("windows-reader")
        role.set_trust(policy.trust_for_service("ecs.aliyuncs.com"))
        for held in role.policies():
            role.revoke(held.name)
        role.grant(policy.read_objects("sandbox-photos", "testfolder/"))
        vm.detach()  # also takes off a session policy
        vm.attach(role)


class FromReaderToWriter(Exercise):
    title = "From reader to writer"
    task = (
        f"Give web-2 another role than {READER}, one that may write objects in reports/ of {BUCKET} and nowhere else. "
        f"{READER} itself stays a reader."
    )
    hints = (
        "Two roles, two jobs: do not widen the reader, make a second role and give the instance that one.",
        f"rr.policy.read_write_objects({BUCKET!r}, 'reports/') is a fitting policy.",
        (
            "Replace role changes the identity (typed: cloud.instances['web-2'].replace_role(role)); programs get it with "
            "their next credential."
        ),
    )

    def start(self, setup: Setup) -> None:
        setup.role(READER, policy.read_objects(BUCKET, FOLDER))
        setup.attach(READER, "web-2")

    def look(self, see: Look) -> str:
        name = see.vm("web-2").role_name
        if name in ("", READER):
            reader = see.role(READER)
            if reader is not None and self._writes(see, READER, "reports/new.csv"):
                raise see.not_yet(
                    f"{READER} itself may write in reports/ now: a reader that writes is no reader.",
                    "another role for writing",
                    f"{READER} without the right to write",
                    next_step="revoke that policy from it, and grant it to a second role",
                )
            if not name and reader is not None:
                raise see.not_yet("web-2 has no role now.", "a role on web-2 that may write in reports/")
            raise see.not_attempted(f"web-2 has {name or 'no role'}, as at the start.")
        if name == GUIDED_ROLE:
            raise see.not_yet(
                f"web-2 has {GUIDED_ROLE}, the role of the guided path.", "a role of its own on web-2"
            )
        if see.role(name) is None:
            raise see.not_yet(f"web-2's role {name} was deleted.", f"a role {name}")
        if not self._writes(see, name, "reports/new.csv"):
            raise see.not_yet(
                f"web-2 has the role {name} now, but that one may not write in reports/.",
                f"oss:PutObject on {BUCKET}/reports/* for {name}",
            )
        beyond = [
            key
            for key in ("private/new.csv", f"{FOLDER}example.png", "new.csv")
            if self._writes(see, name, key)
        ]
        if beyond:
            raise see.not_yet(
                f"{name} may write in reports/, and elsewhere too: {sentence(beyond)}.",
                *(f"{key} must not be writable" for key in beyond),
                next_step="end the resource with reports/*",
            )
        if self._writes(see, name, "new.csv", bucket="sandbox-backup", region="cn-hangzhou"):
            raise see.not_yet(f"{name} may write in sandbox-backup too.", "rights on one bucket alone")
        if see.role(READER) is not None and self._writes(see, READER, "reports/new.csv"):
            raise see.not_yet(
                f"web-2 has {name}, and {READER} may write as well.", f"{READER} without the right to write"
            )
        return f"web-2 acts as {name} now, which may write in reports/ and nowhere else of what was probed."

    @staticmethod
    def _writes(see: Look, name: str, key: str, bucket: str = BUCKET, region: str = "cn-beijing") -> bool:
        role = see.role(name)
        if role is None:
            return False
        resource = f"acs:oss:oss-{region}:{role.arn.split(':')[3]}:{bucket}/{key}"
        decision = see.decide(role, see.documents(role), "oss:PutObject", resource)
        if decision.outcome is policy.Outcome.UNKNOWN:
            raise see.cannot_tell(f"Whether {name} may write {key} is not known here: {decision.because}")
        return decision.allowed

    def solve(self, cloud: Cloud) -> None:
        if "photo-reader" in cloud.roles:
            reader = cloud.roles["photo-reader"]
            for held in reader.policies():
                reader.revoke(held.name)
            reader.grant(policy.read_objects("sandbox-photos", "testfolder/"))
        writer = cloud.roles.get("report-writer") or cloud.roles.create("report-writer")
        for held in writer.policies():
            writer.revoke(held.name)
        writer.grant(policy.read_write_objects("sandbox-photos", "reports/"))
        cloud.instances["web-2"].replace_role(writer)


class NarrowedOnOne(Exercise):
    title = "One role, narrowed on one instance"
    task = (
        "batch-1 and batch-2 have one and the same role. Leave it as it is on batch-1, where it reads all of "
        "sandbox-backup. Narrow it on batch-2 to logs/, by a session policy given with the attachment."
    )
    hints = (
        "A session policy narrows a role for one attachment. It grants nothing by itself.",
        "It is given when attaching and not changed later: on batch-2 Detach role first, then Attach role with it.",
        (
            "Typed: vm = cloud.instances['batch-2']; vm.detach(); "
            "vm.attach('batch-worker', session_policy=rr.policy.read_objects('sandbox-backup', 'logs/')). "
            "For the panel, print(rr.policy.read_objects('sandbox-backup', 'logs/')) writes the document."
        ),
    )
    praise = "One role, two measures: batch-1 reads all of sandbox-backup, batch-2 only logs/."
    try_there = """bucket = cloud.buckets["sandbox-backup"].using(cloud.here)
for key in ("logs/2026-01-01.log", "readme.txt"):  # batch-1 reads both, batch-2 only the first
    try:
        print(key, "can be read:", bucket.head(key).size, "bytes")
    except rr.errors.AccessDenied:
        print(key, "is refused")"""

    def start(self, setup: Setup) -> None:
        setup.role("batch-worker", policy.read_objects("sandbox-backup"))
        setup.attach("batch-worker", "batch-1")
        setup.attach("batch-worker", "batch-2")

    def look(self, see: Look) -> None:
        first, second = see.vm("batch-1"), see.vm("batch-2")
        roles = {vm.name: vm.role_name for vm in (first, second)}
        if not any(roles.values()):
            raise see.not_attempted(
                "Neither batch-1 nor batch-2 has a role.", next_step="lesson.prepare() sets it up"
            )
        bare = [name for name, role in roles.items() if not role]
        if bare:
            raise see.not_yet(
                f"{bare[0]} has no role now.", f"a role on {bare[0]}", next_step="attach it again"
            )
        if len(set(roles.values())) > 1:
            raise see.not_yet(
                f"batch-1 has {roles['batch-1']} and batch-2 has {roles['batch-2']}: those are two roles.",
                "one and the same role on both",
                next_step="a session policy narrows one role for one instance",
            )
        log, other = "logs/2026-01-01.log", "readme.txt"
        read = {
            vm.name: [key for key in (log, other) if see.using(vm, "sandbox-backup").reads(key)]
            for vm in (first, second)
        }
        if read == {"batch-1": [log, other], "batch-2": [log, other]}:
            raise see.not_attempted("Both instances read all of sandbox-backup, as at the start.")
        if other not in read["batch-1"] and other not in read["batch-2"]:
            raise see.not_yet(
                "Neither instance reads all of sandbox-backup now: the role itself was narrowed, or both attachments.",
                "batch-1 reads all of sandbox-backup",
                next_step="give the role its permission back, and narrow the attachment of batch-2 alone",
            )
        if other in read["batch-2"]:
            raise see.not_yet(
                "It is batch-1 that was narrowed, and batch-2 still reads everything.",
                "batch-1 reads all, batch-2 only logs/",
                next_step="the other way round",
            )
        if log not in read["batch-2"]:
            raise see.not_yet(
                "batch-2 reads nothing any more: the session policy leaves out what the role allows.",
                f"batch-2 reads {log}",
                next_step="a call has to be allowed by the role and by the session policy",
            )
        if log not in read["batch-1"]:
            raise see.not_yet("batch-1 reads readme.txt, but not logs/.", f"batch-1 reads {log}")

    def solve(self, cloud: Cloud) -> None:
        role = cloud.roles.get("batch-worker") or cloud.roles.create("batch-worker")
        role.grant(policy.read_objects("sandbox-backup"))
        first, second = cloud.instances["batch-1"], cloud.instances["batch-2"]
        first.detach()
        second.detach()
        first.attach(role)
        second.attach(role, session_policy=policy.read_objects("sandbox-backup", "logs/"))


EXERCISES = (OnlyThatFolder, FromReaderToWriter, NarrowedOnOne)
