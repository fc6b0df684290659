"""Diagnosing: healthy worlds have no finding, of two faults the outer comes first, nothing is changed or let out."""

from __future__ import annotations

import ast
import json
import random
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb as rr
from ramrole_nb.doctor.causes import CAUSES, LAYERS
from ramrole_nb.doctor.checks import judge
from ramrole_nb.doctor.diagnose import diagnose, parse_object
from ramrole_nb.doctor.probes import PROBES
from ramrole_nb.errors import InputError
from ramrole_nb.sandbox import Sandbox
from tests.doctor.conftest import OBJECT, Broken

_READS = re.compile(r"(Get|List|Describe|Head)[A-Za-z0-9]*")


# ---- healthy worlds


def _random_world(world: Sandbox, seed: int) -> tuple[Any, str, str, dict[str, Any]]:
    """Make a world in which an object can be read; return the session, instance, object and options to ask with."""
    dice = random.Random(seed)
    cloud = rr.connect(world)
    name = dice.choice(["EcsRamRole", "web.reader", f"r{seed}-Reader", "A"])
    role = cloud.roles.create(name)
    instance = dice.choice(["web-1", "web-2", "hardened-1", "windows-1", "batch-1", "batch-2"])
    bucket, key = dice.choice(
        [
            ("sandbox-photos", "testfolder/example.png"),
            ("sandbox-photos", "reports/2026/sales.csv"),
            ("sandbox-photos", "testfolder/"),
            ("sandbox-photos", f"new/{seed} ü%+&.txt"),
            ("sandbox-backup", "readme.txt"),
            ("sandbox-backup", "logs/"),
            ("sandbox-backup", ""),
        ]
    )
    if key.startswith("new/"):
        cloud.buckets[bucket].upload(b"x" * dice.randrange(0, 3_000), key)
    folder = key if key.endswith("/") else key.rpartition("/")[0]
    wide: list[Any] = [
        "AliyunOSSReadOnlyAccess",
        "AliyunOSSFullAccess",
        rr.policy.read_objects(bucket),
        rr.policy.read_objects(bucket, folder),
        {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*"}]},
    ]
    role.grant(dice.choice(wide))
    if dice.random() < 0.4:  # policies that have no say here
        role.grant(rr.policy.read_objects("another-bucket"))
        deny = {"Effect": "Deny", "Action": ["oss:DeleteObject"], "Resource": ["*"]}
        role.grant({"Version": "1", "Statement": [deny]})
    narrow = dice.random() < 0.3
    session = (
        {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*"}]}
        if narrow
        else None
    )
    vm = cloud.instances[instance].attach(role, session_policy=session)
    if instance in ("web-1", "batch-1", "batch-2") and dice.random() < 0.3:
        vm.set_hardening(True)
    if dice.random() < 0.3:
        vm.credentials()
    how: dict[str, Any] = {"full": dice.random() < 0.5}
    if dice.random() < 0.5:
        how["role"] = name
    if bucket == "sandbox-photos" and dice.random() < 0.3:
        how["endpoint"] = "oss-cn-beijing.aliyuncs.com"
        how["signature"] = dice.choice(["V4", "V1"])
    return cloud, instance, f"oss://{bucket}/{key}", how


@pytest.mark.parametrize("seed", range(50))
def test_a_healthy_world_has_no_finding(world: Sandbox, seed: int) -> None:
    cloud, instance, target, how = _random_world(world, seed)
    told = diagnose(instance, target, cloud=cloud, **how)
    assert told.ok, told.to_text()
    assert told.findings == ()
    assert told.exit_code == 0


# ---- two faults at once

# (outer, inner, how to ask): fault names of the sandbox, and the causes they are.
_TWO = [
    ("imds-disabled", "metadata-disabled", "clock-skew", "clock-skew"),
    ("imds-disabled", "metadata-disabled", "trust-lost", "trust-without-ecs"),
    ("imds-token-forbidden", "metadata-token-forwarded", "policy-detached", "permission-missing"),
    ("imds-hangs", "metadata-unreachable", "role-missing", "role-deleted"),
    ("role-detached", "no-role-attached", "access-key-disabled", "access-key-disabled"),
    ("trust-lost", "trust-without-ecs", "role-replaced", "role-name-wrong"),
    ("role-replaced", "role-name-wrong", "credentials-mixed", "credential-mixed"),
    ("credentials-expired", "credential-expired", "explicit-deny", "explicit-deny"),
    ("credentials-mixed", "credential-mixed", "ram-inactive", "ram-inactive"),
    ("clock-skew", "clock-skew", "oss-500", "service-failed"),
]


@pytest.mark.parametrize(("outer", "outer_cause", "inner", "inner_cause"), _TWO, ids=str)
def test_of_two_faults_the_outer_is_named_first(
    broken: Broken, outer: str, outer_cause: str, inner: str, inner_cause: str
) -> None:
    vm = broken.vm
    how: dict[str, Any] = {"role": "EcsRamRole"}
    broken.sandbox.fault(inner)
    broken.sandbox.fault(outer)
    first = broken.look(vm, **how)
    assert [item.cause for item in first.findings] == [outer_cause], first.to_text()
    every = [item.cause for item in broken.look(vm, full=True, **how).findings]
    hidden = {"clock-skew": {"service-failed"}, "credentials-expired": {"explicit-deny"}}
    if inner_cause not in hidden.get(outer, set()):
        assert every.index(outer_cause) < every.index(inner_cause), every
    else:  # what an expired credential or a wrong clock asks is refused for that
        assert every[0] == outer_cause


# ---- nothing is changed


@pytest.mark.parametrize(
    "fault", ["", "policy-detached", "role-detached", "clock-skew", "imds-token-fails", "credentials-mixed"]
)
def test_it_only_reads(broken: Broken, fault: str) -> None:
    vm = broken.vm
    if fault:
        broken.sandbox.fault(fault)
    last = broken.sandbox.journal()[-1]["seq"]
    before = broken.others.created()
    broken.look(vm, full=True, role="AnotherRole")
    entries = broken.sandbox.journal(last)
    assert len(entries) > 3
    for entry in entries:
        token = (
            entry["service"] == "IMDS" and "/latest/api/token" in entry["url"]
        )  # asking for one changes nothing
        assert token or _READS.fullmatch(entry["operation"]), entry
        assert token or entry["method"] in ("GET", "HEAD") or entry["service"] in ("Ecs", "Ram", "Sts"), entry
    assert broken.others.created() == before


def test_of_the_object_one_byte_is_read(broken: Broken) -> None:
    mark = broken.cloud.wire.mark
    broken.look()
    asked = [call for call in broken.cloud.wire.since(mark) if call.action == "GetObject"]
    assert [call.params["range"] for call in asked] == ["bytes=0-0"]
    assert all(call.check for call in broken.cloud.wire.since(mark)), (
        "a diagnosis is look-ups: panels do not follow it"
    )


# ---- what it says


def test_a_finding_says_the_fix_for_this_case(broken: Broken) -> None:
    told = broken.look(role="EcsRamRol").findings[0]
    assert told.cause == "role-name-wrong"
    assert "Did you mean 'EcsRamRole'?" in told.sentence
    missing = broken.look("web-2").findings[0]
    assert missing.fix_command.startswith("aliyun ecs AttachInstanceRamRole --RegionId cn-beijing")
    assert "i-2zesandboxweb2" in missing.fix_command
    assert missing.link.startswith("https://")


def test_the_fix_mends_it(broken: Broken) -> None:
    """The call a finding names, typed as it stands, leaves a world in which nothing is found."""
    names = {"cloud": broken.cloud, "rr": rr}
    for policy in broken.role.policies():
        broken.role.revoke(policy.name)
    told = broken.look().findings[0]
    exec(told.fix_call, names)  # noqa: S102 - that is the test
    assert broken.look().ok
    vm = broken.vm
    other = broken.others.roles.create("OtherRole")
    vm.detach()
    told = broken.look(role="EcsRamRole").findings[0]
    exec(told.fix_call, names)  # noqa: S102
    assert broken.look(role="EcsRamRole").ok
    vm.replace_role(other)
    broken.sandbox.fault("trust-lost")
    told = broken.look().findings[0]
    exec(told.fix_call, names)  # noqa: S102
    assert broken.look().findings[0].cause == "permission-missing", "the next one"


def test_a_deleted_role_is_made_again_by_the_fix(broken: Broken) -> None:
    names = {"cloud": broken.cloud, "rr": rr}
    broken.role.delete(revoke=True)
    told = broken.look().findings[0]
    assert told.cause == "role-deleted"
    assert "cloud.instances['i-2zesandboxweb1'].detach()" in told.fix_words
    assert told.fix_command.startswith("aliyun ram CreateRole --RoleName EcsRamRole ")
    document = shlex.split(told.fix_command)[-1]
    exec(told.fix_call, names)  # noqa: S102 - as typed
    assert broken.look().ok
    made = broken.cloud.roles["EcsRamRole"].trust_policy
    assert rr.policy.same_meaning(made, document)
    broken.cloud.roles["EcsRamRole"].delete(revoke=True)
    told = broken.look(target=None).findings[0]
    exec(told.fix_call, names)  # noqa: S102 - without an object, too
    assert broken.look(target=None).ok


@pytest.mark.parametrize(
    ("how", "cause", "fix"),
    [
        ({"instance": "web1"}, "instance-not-found", "cloud.instances['web-1']"),
        ({"instance": "zzzzzz"}, "instance-not-found", "cloud.instances"),
        ({"target": "oss://sandbox-photo/testfolder/example.png"}, "bucket-not-found", "cloud.buckets['sandbox-photos']"),
        ({"target": "oss://qqqqqqqqqqqq/testfolder/example.png"}, "bucket-not-found", "cloud.buckets"),
        ({"instance": "web-2", "role": "EcsRamRol"}, "role-not-found",
         "cloud.instances['i-2zesandboxweb2'].attach(cloud.roles['EcsRamRole'])"),
        ({"role": "Qqqqqqqqqqqq"}, "role-name-wrong", "cloud.instances['i-2zesandboxweb1'].credentials()"),
    ],
)  # fmt: skip
def test_a_fix_does_not_repeat_what_failed(broken: Broken, how: dict[str, Any], cause: str, fix: str) -> None:
    told = broken.look(**how).findings[0]
    assert (told.cause, told.fix_call) == (cause, fix)
    repr(eval(fix, {"cloud": broken.cloud, "rr": rr}))  # noqa: S307 - as typed
    if cause == "instance-not-found":
        assert told.link.endswith("api-ecs-2014-05-26-describeinstances")


def test_a_session_policy_in_the_way_is_taken_off_by_the_fix(broken: Broken) -> None:
    nothing = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "ecs:*", "Resource": "*"}]}
    broken.vm.detach().attach("EcsRamRole", session_policy=nothing)
    told = broken.look().findings[0]
    assert told.cause == "session-policy"
    exec(told.fix_call, {"cloud": broken.cloud, "rr": rr})  # noqa: S102 - as typed
    assert broken.look().ok


def test_a_user_who_may_not_attach_is_not_told_to_grant_it_to_the_role(broken: Broken) -> None:
    told = broken.look("web-2", role="EcsRamRole", cloud=rr.connect(broken.sandbox, user="viewer")).findings[
        0
    ]
    assert told.cause in ("permission-missing", "pass-role-missing")
    assert told.fix_call == "cloud.identity()"
    assert told.fix_command.startswith("aliyun ram AttachPolicyToUser")


def test_a_target_alone_may_come_first(broken: Broken) -> None:
    alone = diagnose(OBJECT, cloud=broken.cloud)
    named = diagnose(object=OBJECT, cloud=broken.cloud)
    assert alone.asked == named.asked == OBJECT
    assert [f.cause for f in alone.findings] == [f.cause for f in named.findings]
    with pytest.raises(InputError, match="an instance comes first") as caught:
        diagnose(OBJECT, "web-1", cloud=broken.cloud)
    assert caught.value.next_step == f"the other way round: rr.diagnose('web-1', {OBJECT!r})"


def test_every_form_says_the_same_and_escapes(broken: Broken) -> None:
    told = broken.look(target="oss://sandbox-photos/<script>alert(1)</script>|*x*.png", full=True)
    assert told.findings[0].cause == "object-not-found"
    html, text, markdown = told._repr_html_(), told.to_text(), told.to_markdown()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "<style" not in html
    assert "\\|\\*x\\*" in markdown
    loaded = json.loads(json.dumps(told.to_dict()))
    for form in (html, text, markdown, json.dumps(loaded)):
        assert "object-not-found" in form
    assert [row["name"] for row in loaded["probes"]] == [step.name for step in PROBES]


def test_no_secret_is_in_any_form(broken: Broken, world: Sandbox) -> None:
    vm = broken.vm
    credential = vm.credentials()
    secrets = [
        str.__str__(credential.access_key_secret),
        str.__str__(credential.security_token),
        credential.access_key_id,
    ]
    secrets += [str.__str__(user["access_key_secret"]) for user in world.start_line["users"]]
    secrets += [str.__str__(row["proxy_url"]) for row in world.start_line["instances"]]
    for fault in ("", "credentials-mixed", "policy-detached", "token-invalid"):
        if fault:
            world.fault(fault)
        told = broken.look(vm, full=True)
        shown = told.to_text() + told._repr_html_() + told.to_markdown() + json.dumps(told.to_dict())
        assert not [secret for secret in secrets if secret in shown]


def test_of_a_caller_who_may_read_little_it_says_what_stays_open(broken: Broken) -> None:
    """The viewer may read RAM and ECS and no bucket; the role's own credential still reads the object."""
    told = broken.look(cloud=rr.connect(broken.sandbox, user="viewer"))
    assert told.ok, told.to_text()
    assert any(probe.state == "unknown" for probe in told.probes)
    broken.sandbox.fault("policy-detached")
    told = broken.look(cloud=rr.connect(broken.sandbox, user="viewer"))
    assert told.findings[0].cause == "permission-missing"


def test_what_judges_does_no_input_or_output() -> None:
    """Rules, findings and evidence are plain values and functions: what was recorded elsewhere can be judged here."""
    pure = ["checks", "evidence", "findings", "rules", "rules_instance", "rules_object", "rules_tools"]
    folder = Path(rr.__file__).parent / "doctor"
    for name in pure:
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for imported in [*names, module]:
                assert imported.split(".")[0] not in {
                    "os",
                    "socket",
                    "subprocess",
                    "http",
                    "threading",
                    "cloud",
                    "connect",
                }


# ---- input


@pytest.mark.parametrize("bad", ["sandbox-photos/a.png", "oss:/b/k", "https://b/k", "oss://", 5])
def test_what_names_no_object_is_refused(cloud: Any, bad: Any) -> None:
    calls = len(cloud.wire)
    with pytest.raises(InputError, match="names no object") as caught:
        diagnose("web-1", bad, cloud=cloud)
    assert "oss://" in caught.value.next_step
    assert len(cloud.wire) == calls


def test_an_unknown_signature_version_is_refused(cloud: Any) -> None:
    with pytest.raises(InputError, match="Did you mean 'V4'"):
        diagnose("web-1", OBJECT, cloud=cloud, signature="v4")


def test_an_object_is_a_bucket_and_a_key() -> None:
    assert parse_object("oss://b/k/l") == ("b", "k/l")
    assert parse_object("oss://b") == ("b", "")
    assert parse_object("oss://b//k") == ("b", "/k")


def test_progress_and_cancel(broken: Broken) -> None:
    seen: list[tuple[int, int, str]] = []
    told = broken.look(progress=lambda *now: seen.append(now))
    assert told.ok
    assert [number for number, *_ in seen] == list(range(len(PROBES) + 1))
    stopped = broken.look(cancel=lambda: len(seen) > 0)
    assert not stopped.ok
    assert stopped.exit_code == 2


def test_causes_have_a_place(broken: Broken) -> None:
    del broken
    assert {entry.layer for entry in CAUSES.values()} <= set(LAYERS)
    from ramrole_nb.doctor.evidence import Evidence

    assert judge(Evidence()) == [], "nothing seen, nothing found"
