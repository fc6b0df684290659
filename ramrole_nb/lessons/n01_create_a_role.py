"""Exercises of notebook 01: a role, its trust policy and its permissions."""

from __future__ import annotations

from .. import policy
from ..cloud.session import Cloud
from ..errors import nearest
from ..policy import parse_policy
from .exercise import Exercise
from .looking import GUIDED_ROLE, Look
from .shown import sentence
from .starting import Setup

__all__ = ["EXERCISES", "READER", "reads_only_the_folder"]

READER = "photo-reader"
ECS = "ecs.aliyuncs.com"
_WRONG_TRUST = policy.trust_for_service("oss.aliyuncs.com")

_Probes = tuple[tuple[str, str, str, dict[str, str]], ...]

BUCKET, FOLDER = "sandbox-photos", "testfolder/"


class ARoleForInstances(Exercise):
    title = "A role for instances"
    task = f"Make a role {READER} that ECS may assume, so that instances can have it."
    hints = (
        "A role's trust policy says who may take the role on. For instances, that is the service ecs.aliyuncs.com.",
        f"Create role makes a role with that trust policy (typed: cloud.roles.create({READER!r})).",
        (
            "Of a role that exists: Save trust policy (typed: "
            f"cloud.roles[{READER!r}].set_trust(rr.policy.trust_for_service('ecs.aliyuncs.com')))."
        ),
    )
    praise = (
        f"{READER} exists, and ECS may assume it: any instance can have it. What it may do is another matter."
    )

    def look(self, see: Look) -> None:
        role = see.role(READER)
        if role is None:
            alike = nearest(READER, [name for name in see.role_names() if name != GUIDED_ROLE])
            if alike:
                raise see.not_yet(
                    f"There is no role {READER}.{alike}",
                    f"a role of exactly this name: {READER}",
                    next_step="names count letter by letter, capitals too",
                )
            raise see.not_attempted(f"There is no role {READER} yet.")
        if not role.trusts_ecs:
            raise see.not_yet(
                f"{READER} exists, but ECS may not assume it, so no instance can have it.",
                f"a trust policy with the service {ECS}",
                next_step=f"see whom it trusts: in the panel, or typed: cloud.roles[{READER!r}].trust_policy",
            )

    def solve(self, cloud: Cloud) -> None:
        role = cloud.roles.get("photo-reader") or cloud.roles.create("photo-reader")
        if not role.trusts_ecs:
            role.set_trust(policy.trust_for_service("ecs.aliyuncs.com"))


def reads_only_the_folder(see: Look, name: str) -> None:
    """End the check unless the role's own policies let it list and read the folder, and nothing else."""
    role = see.role(name)
    if role is None:
        raise see.not_attempted(f"There is no role {name} yet.", next_step="do 01.q1 first")
    documents = see.documents(role)
    if not documents:
        raise see.not_attempted(f"{name} holds no policy, so it may do nothing.")
    account = role.arn.split(":")[3]
    oss = f"acs:oss:oss-cn-beijing:{account}:"
    bucket = f"{oss}{BUCKET}"
    wanted: _Probes = (
        ("read testfolder/example.png", "oss:GetObject", f"{bucket}/{FOLDER}example.png", {}),
        ("read any other object in testfolder/", "oss:GetObject", f"{bucket}/{FOLDER}new/file.bin", {}),
        (
            "list the names in testfolder/",
            "oss:ListObjects",
            bucket,
            {"oss_Prefix": FOLDER, "oss_Delimiter": "/"},
        ),
    )
    unwanted: _Probes = (
        ("read private/salaries.csv", "oss:GetObject", f"{bucket}/private/salaries.csv", {}),
        ("read reports/2026/sales.csv", "oss:GetObject", f"{bucket}/reports/2026/sales.csv", {}),
        ("read a folder named alike, testfolder-old/", "oss:GetObject", f"{bucket}/testfolder-old/a.png", {}),
        ("read Testfolder/ (capitals count)", "oss:GetObject", f"{bucket}/Testfolder/Example.PNG.txt", {}),
        ("list the whole bucket", "oss:ListObjects", bucket, {"oss_Prefix": ""}),
        ("list private/", "oss:ListObjects", bucket, {"oss_Prefix": "private/"}),
        ("write in testfolder/", "oss:PutObject", f"{bucket}/{FOLDER}example.png", {}),
        ("delete in testfolder/", "oss:DeleteObject", f"{bucket}/{FOLDER}example.png", {}),
        ("change the bucket's ACL", "oss:PutBucketAcl", bucket, {}),
        (
            "read another bucket",
            "oss:GetObject",
            f"acs:oss:oss-cn-hangzhou:{account}:sandbox-backup/readme.txt",
            {},
        ),
        ("list all buckets", "oss:ListBuckets", f"acs:oss:*:{account}:*", {}),
        ("look at ECS instances", "ecs:DescribeInstances", f"acs:ecs:cn-beijing:{account}:instance/*", {}),
        ("manage RAM roles", "ram:CreateRole", f"acs:ram:*:{account}:role/*", {}),
    )
    lacking, excess = [], []
    for words, action, resource, context in wanted:
        decision = see.decide(role, documents, action, resource, **context)
        if decision.outcome is policy.Outcome.UNKNOWN:
            raise see.cannot_tell(f"Whether {name} may {words} is not known here: {decision.because}")
        if not decision.allowed:
            lacking.append((words, decision.because))
    for words, action, resource, context in unwanted:
        decision = see.decide(role, documents, action, resource, **context)
        if decision.outcome is policy.Outcome.UNKNOWN:
            raise see.cannot_tell(f"Whether {name} may {words} is not known here: {decision.because}")
        if decision.allowed:
            excess.append((words, decision.matched.policy if decision.matched else "a policy"))
    held = sentence([named.name for named in documents])
    if excess:
        culprits = sentence(list(dict.fromkeys(culprit for _, culprit in excess)))
        also = " It also lacks something." if lacking else ""
        raise see.not_yet(
            f"{name} may do more than asked, by {culprits}.{also}",
            *(f"it must not {words}" for words, _ in excess),
            *(f"the permission to {words}" for words, _ in lacking),
            next_step=f"take away the excess: Revoke policy (typed: cloud.roles[{name!r}].revoke({excess[0][1]!r}))",
        )
    if lacking:
        raise see.not_yet(
            f"{name} holds {held}, which is not enough: {lacking[0][1]}",
            *(f"the permission to {words}" for words, _ in lacking),
            next_step="Write the document writes such a policy (typed: rr.policy.read_objects(bucket, prefix))",
        )


class OneFolderOnly(Exercise):
    title = "Least privilege: one folder"
    task = (
        f"Let {READER} list and read {FOLDER} of the bucket {BUCKET}, and nothing else at all: no other folder or "
        "bucket, no writing. Any policy, or several, that come to this are right."
    )
    hints = (
        "Two kinds of resource are involved: objects (for reading) and the bucket itself (for listing).",
        f"Reading: oss:GetObject on acs:oss:*:*:{BUCKET}/{FOLDER}*. Mind the slash before the star.",
        f"Listing: oss:ListObjects on acs:oss:*:*:{BUCKET}, with a condition StringLike on oss:Prefix {FOLDER}*.",
        f"rr.policy.read_objects({BUCKET!r}, {FOLDER!r}) writes both. What a role has too much: role.revoke(name).",
    )
    praise = f"{READER} may list and read {FOLDER} of {BUCKET}, and nothing else of what was probed."

    def look(self, see: Look) -> None:
        reads_only_the_folder(see, READER)

    def solve(self, cloud: Cloud) -> None:
        role = cloud.roles.get("photo-reader") or cloud.roles.create("photo-reader")
        for held in role.policies():
            role.revoke(held.name)
        role.grant(policy.read_objects("sandbox-photos", "testfolder/"))


class MendTheTrust(Exercise):
    title = "Mend a trust policy"
    task = "The role broken-trust trusts the wrong service. Mend it, so that instances can have it, and nobody else."
    hints = (
        "See whom it trusts: choose it in the panel (typed: cloud.roles['broken-trust'].trust_policy).",
        "The one service that gives roles to instances is ecs.aliyuncs.com, spelled exactly so.",
        (
            "Save trust policy changes it (typed: "
            "cloud.roles['broken-trust'].set_trust(rr.policy.trust_for_service('ecs.aliyuncs.com')))."
        ),
    )
    praise = "ECS, and only ECS, may assume broken-trust now."

    def start(self, setup: Setup) -> None:
        setup.role(
            "broken-trust", trust=_WRONG_TRUST, words="a role broken-trust, which trusts oss.aliyuncs.com"
        )

    def look(self, see: Look) -> None:
        role = see.role("broken-trust")
        if role is None:
            raise see.not_attempted("There is no role broken-trust.", next_step="lesson.prepare() sets it up")
        if policy.same_meaning(role.trust_policy, _WRONG_TRUST):
            raise see.not_attempted("broken-trust still trusts oss.aliyuncs.com, as it did at the start.")
        services, others = _trusted(role.trust_policy)
        if not role.trusts_ecs:
            whom = sentence([*services, *others]) or "nobody"
            close = nearest(ECS, services)
            raise see.not_yet(
                f"The trust policy was changed, but ECS may not assume the role: it trusts {whom}."
                + (f" {services[0]!r} is close, but not it." if close and services else ""),
                f"an Allow of sts:AssumeRole for the service {ECS}",
            )
        surplus = [name for name in services if name.lower() != ECS] + others
        if surplus:
            raise see.not_yet(
                f"ECS may assume the role now, and so may {sentence(surplus)}.",
                *(f"{name} must not be trusted" for name in surplus),
                next_step="name ecs.aliyuncs.com alone",
            )

    def solve(self, cloud: Cloud) -> None:
        trust = policy.trust_for_service("ecs.aliyuncs.com")
        role = cloud.roles.get("broken-trust") or cloud.roles.create("broken-trust", trust=trust)
        role.set_trust(trust)


def _trusted(document: str) -> tuple[list[str], list[str]]:
    """Return the services, and everybody else, that a trust policy allows to assume the role."""
    services: list[str] = []
    others: list[str] = []
    for statement in parse_policy(document, "trust").statements:
        principal = statement.principal
        if statement.effect != "Allow" or principal is None:
            continue
        services += principal.service
        others += [*principal.ram, *principal.federated]
    return list(dict.fromkeys(services)), list(dict.fromkeys(others))


EXERCISES = (ARoleForInstances, OneFolderOnly, MendTheTrust)
