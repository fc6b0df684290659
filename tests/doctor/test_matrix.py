"""For every cause a broken world or environment, and the doctor names that cause first.

What lives in the account is broken over HTTP; what lives in the environment in a child process under the real condition.
What cannot be made here is judged on recorded evidence and marked † in the matrix, which is printed after the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import oss2
import pytest

import ramrole_nb as rr
from ramrole_nb.doctor.causes import CAUSES
from ramrole_nb.doctor.checks import judge
from ramrole_nb.doctor.evidence import Answer, Asked, Evidence
from ramrole_nb.doctor.findings import Diagnosis
from ramrole_nb.doctor.surroundings import Surroundings
from ramrole_nb.policy import NamedDocument, parse_policy
from ramrole_nb.sandbox import Sandbox
from tests.doctor.conftest import OBJECT, Broken, first_of, keys_of, live_child, named

World = Callable[[Broken], Diagnosis]


def fault(name: str, instance: Any = "web-1", target: str | None = OBJECT, **how: Any) -> World:
    def broke(b: Broken) -> Diagnosis:
        b.sandbox.fault(name)
        return b.look(instance, target, **how)

    return broke


def asked(instance: Any = "web-1", target: str | None = OBJECT, **how: Any) -> World:
    return lambda b: b.look(instance, target, **how)


def hardened_with_oss2(b: Broken) -> Diagnosis:
    b.others.instances["web-1"].set_hardening(True)
    provider = oss2.credentials.EcsRamRoleCredentialsProvider("http://127.0.0.1:1/not-asked", 1, 1)
    return b.look(provider=provider)


def program_with(make: Callable[[Any], tuple[str, str, str | None]]) -> World:
    """A program that signs with a key it keeps itself, made of the instance's credential."""

    def broke(b: Broken) -> Diagnosis:
        return b.look(provider=oss2.credentials.StaticCredentialsProvider(*make(b.vm.metadata.credentials())))

    return broke


def hardened_with_an_old_agent(b: Broken) -> Diagnosis:
    b.others.instances["web-2"].attach(b.role).set_hardening(True)
    return b.look("web-2")


def just_attached(b: Broken) -> Diagnosis:
    b.cloud.instances["web-2"].attach(b.role)
    b.sandbox.fault("attach-not-visible")
    return b.look("web-2")


def made_again(b: Broken) -> Diagnosis:
    b.vm.credentials()
    b.sandbox.fault("role-recreated")
    return b.look(b.vm)


def expired_at_the_service(b: Broken) -> Diagnosis:
    b.vm.credentials()
    b.sandbox.expire()
    return b.look(b.vm)


def replaced_by_another_client(b: Broken) -> Diagnosis:
    b.vm.credentials()
    other = b.others.roles.create("OtherRole")
    other.grant("AliyunOSSReadOnlyAccess")
    held = rr.connect(b.sandbox).instances["web-1"].provider().held
    b.others.context.calls.ecs("DetachInstanceRamRole", "cn-beijing", instance_ids=f'["{b.vm.instance_id}"]')
    b.others.context.calls.ecs(
        "AttachInstanceRamRole",
        "cn-beijing",
        instance_ids=f'["{b.vm.instance_id}"]',
        ram_role_name="OtherRole",
    )
    assert held is not None
    return b.look(b.vm)


def not_my_role_to_pass(b: Broken) -> Diagnosis:
    b.sandbox.fault("passrole-removed")
    return b.look("web-2", None, role="EcsRamRole", cloud=rr.connect(b.sandbox, user="operator"))


def new_account(b: Broken, **how: Any) -> Diagnosis:
    b.sandbox.reset("new-account")
    again = Broken(b.sandbox)
    told = again.look(**how)
    b.sandbox.reset("default")
    return told


def narrowed(b: Broken) -> Diagnosis:
    b.others.instances["web-2"].attach(
        b.role,
        session_policy={
            "Version": "1",
            "Statement": [{"Effect": "Allow", "Action": "oss:List*", "Resource": "*"}],
        },
    )
    return b.look("web-2")


def denied_by_the_bucket(b: Broken) -> Diagnosis:
    statement = '{"Effect":"Deny","Action":["oss:GetObject"],"Principal":["*"],"Resource":["acs:oss:*:*:sandbox-photos/*"]}'
    b.bucket().put_bucket_policy('{"Version":"1","Statement":[' + statement + "]}")
    return b.look()


def allowed(action: str, resource: str, target: str = OBJECT) -> World:
    def broke(b: Broken) -> Diagnosis:
        b.only({"Effect": "Allow", "Action": [action], "Resource": [resource]})
        return b.look(target=target)

    return broke


def denied_by_one_statement(b: Broken) -> Diagnosis:
    b.only(
        {"Effect": "Allow", "Action": ["oss:*"], "Resource": ["*"]},
        {"Effect": "Deny", "Action": ["oss:GetObject"], "Resource": ["acs:oss:*:*:*/testfolder/*"]},
    )
    told = b.look()
    assert "Statement[1] of EcsRamRole-" in told.findings[0].sentence
    return told


PUBLIC = "oss-cn-beijing.aliyuncs.com"
FOLDER = "oss://sandbox-photos/testfolder/"

# (true cause, what breaks it and looks)
WORLDS: list[tuple[str, str, World]] = [
    ("healthy", "nothing is broken", asked()),
    ("healthy", "a listing", asked(target=FOLDER)),
    ("healthy", "the session alone", asked(None, None)),
    ("healthy", "the session's own key", asked(None)),
    ("healthy", "a new account, called as today", new_account),
    ("instance-not-found", "a mistyped name", asked("web-11")),
    ("instance-not-running", "stopped", asked("stopped-1")),
    ("classic-network", "classic", asked("classic-1")),
    ("metadata-disabled", "HttpEndpoint=disabled", fault("imds-disabled")),
    ("metadata-unreachable", "it hangs", fault("imds-hangs")),
    ("metadata-token-forwarded", "403 on the token", fault("imds-token-forbidden")),
    ("metadata-token-method", "405 on the token", fault("token-endpoint-405")),
    ("metadata-failed", "500 on the token", fault("imds-token-fails")),
    ("metadata-failed", "500 on credentials", fault("imds-500-on-credentials")),
    ("metadata-throttled", "429", fault("imds-throttled")),
    ("client-without-token", "oss2's own provider", hardened_with_oss2),
    ("client-too-old", "an old agent", hardened_with_an_old_agent),
    ("no-role-attached", "detached", fault("role-detached")),
    ("no-role-attached", "never attached", asked("web-2")),
    ("role-name-wrong", "mistyped", asked(role="EcsRamRol")),
    ("role-name-wrong", "replaced", fault("role-replaced", role="EcsRamRole")),
    ("role-not-visible-yet", "just attached", just_attached),
    ("role-not-found", "named, and not there", asked("web-2", role="EcsRamRoles")),
    ("trust-without-ecs", "attached, then lost", fault("trust-lost")),
    ("trust-without-ecs", "to be attached", fault("trust-lost", "web-2", role="EcsRamRole")),
    ("role-deleted", "deleted", fault("role-missing")),
    ("role-deleted", "made again", made_again),
    ("pass-role-missing", "the page's policy without PassRole", not_my_role_to_pass),
    ("credential-expired", "served expired", fault("credentials-expired")),
    ("credential-mixed", "served mixed", fault("credentials-mixed")),
    ("security-token-invalid", "not recognised", fault("token-invalid")),
    ("credential-stale", "expired at the service", expired_at_the_service),
    ("credential-stale", "another role meanwhile", replaced_by_another_client),
    ("security-token-missing", "a program that leaves it out",
     program_with(lambda c: (c.access_key_id, c.access_key_secret, None))),
    ("security-token-invalid", "a program that cuts it",
     program_with(lambda c: (c.access_key_id, c.access_key_secret, str.__str__(c.security_token)[:-9]))),
    ("signature-mismatch", "a program with a wrong secret",
     program_with(lambda c: (c.access_key_id, "not-the-secret-of-this-key", c.security_token))),
    ("access-key-unknown", "a program with a key that is not there",
     program_with(lambda _: ("LTAInobodys", "secret", None))),
    ("healthy", "a program with a provider of its own",
     program_with(lambda c: (c.access_key_id, c.access_key_secret, c.security_token))),
    ("access-key-disabled", "the session's", fault("access-key-disabled")),
    ("clock-skew", "an hour", fault("clock-skew")),
    ("throttled", "OpenAPI", fault("throttling")),
    ("service-failed", "OpenAPI 500", fault("openapi-500")),
    ("service-failed", "OSS 500", fault("oss-500")),
    ("service-failed", "OSS 503", fault("oss-503")),
    ("ram-inactive", "never activated", fault("ram-inactive")),
    ("endpoint-wrong-region", "another region's", asked(endpoint="oss-cn-hangzhou.aliyuncs.com")),
    ("internal-endpoint-outside", "from another region",
     asked(target="oss://sandbox-backup/readme.txt", endpoint="http://oss-cn-hangzhou-internal.aliyuncs.com")),
    ("internal-endpoint-outside", "from no instance", asked(None, endpoint="oss-cn-beijing-internal.aliyuncs.com")),
    ("public-endpoint-forbidden", "closed", fault("public-endpoint-forbidden", endpoint=PUBLIC)),
    ("public-endpoint-forbidden", "a new account", lambda b: new_account(b, endpoint=PUBLIC)),
    ("signature-v1-refused", "refused", fault("signature-v1-refused", signature="V1")),
    ("signature-v1-refused", "a new account", lambda b: new_account(b, signature="V1")),
    ("bucket-not-found", "mistyped", asked(target="oss://sandbox-photo/testfolder/example.png")),
    ("object-not-found", "letter case", asked(target="oss://sandbox-photos/TestFolder/Example.png")),
    ("object-not-found", "mistyped", asked(target="oss://sandbox-photos/testfolder/exmaple.png")),
    ("object-name-invalid", "a leading slash", asked(target="oss://sandbox-photos//testfolder/example.png")),
    ("bucket-name-invalid", "upper case", asked(target="oss://Sandbox-Photos/testfolder/example.png")),
    ("permission-missing", "nothing granted", fault("policy-detached")),
    ("permission-missing", "another prefix", allowed("oss:GetObject", "acs:oss:*:*:sandbox-photos/private/*")),
    ("permission-missing", "no listing", allowed("oss:GetObject", "acs:oss:*:*:sandbox-photos/*", FOLDER)),
    ("explicit-deny", "a policy of the role", fault("explicit-deny")),
    ("explicit-deny", "one statement of two", denied_by_one_statement),
    ("session-policy", "cut", narrowed),
    ("bucket-policy", "denied there", denied_by_the_bucket),
    ("resource-form-wrong", "objects on the bucket", allowed("oss:GetObject", "acs:oss:*:*:sandbox-photos")),
    ("resource-form-wrong", "the listing on bucket/*", allowed("oss:ListObjects", "acs:oss:*:*:sandbox-photos/*", FOLDER)),
    ("transfer-stalled", "no byte comes", fault("stalled-body")),
    ("transfer-cut-off", "ended early", fault("short-body")),
    ("transfer-cut-off", "empty", fault("empty-body")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("true", "case", "breaks"), WORLDS, ids=[f"{true}: {case}" for true, case, _ in WORLDS]
)
def test_in_the_world(broken: Broken, true: str, case: str, breaks: World) -> None:
    told = breaks(broken)
    named.append((true, first_of(told), case, ""))
    assert first_of(told) == true, told.to_text()
    assert len(told.findings) <= 1
    assert told.seconds < 10


def test_a_sandbox_that_has_ended(tmp_path: Path) -> None:
    with Sandbox(state=tmp_path / "state") as ended:
        cloud = rr.connect(ended)
        vm = cloud.instances["web-1"]
    told = rr.diagnose(vm, OBJECT, cloud=cloud)
    named.append(("sandbox-not-running", first_of(told), "ended", ""))
    assert first_of(told) == "sandbox-not-running", told.to_text()


# ---- the environment, in a child process


@pytest.mark.namespace
def test_the_role_itself_may_see_no_instance(broken: Broken, tmp_path: Path) -> None:
    """On the instance, with a credential that reads OSS and nothing else: ECS and RAM tell it nothing."""
    told = _on(broken.sandbox, tmp_path, "web-1", broken.vm.instance_id, OBJECT, full=True)
    check("healthy", "live, a role that may only read OSS", told)


def _on(world: Sandbox, folder: Path, instance: str, *args: Any, **how: Any) -> dict[str, Any]:
    return live_child(world, instance, folder, *args, **how)


def check(true: str, case: str, told: dict[str, Any], mark: str = "") -> None:
    first = told["findings"][0]["cause"] if told["findings"] else "healthy" if told["ok"] else "cannot tell"
    named.append((true, first, case, mark))
    assert first == true, told
    assert told["seconds"] < 10


@pytest.mark.namespace
def test_a_proxy_in_the_way(broken: Broken, tmp_path: Path) -> None:
    env = {**keys_of(broken.sandbox), "HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": "100.100.100.200"}
    told = _on(broken.sandbox, tmp_path, "web-1", "web-1", OBJECT, env=env)
    check("proxy-in-the-way", "HTTP_PROXY, on the instance", told)
    assert "NO_PROXY does not help" in told["findings"][0]["sentence"]


@pytest.mark.namespace
def test_a_key_that_wins_over_the_role(broken: Broken, tmp_path: Path) -> None:
    told = _on(broken.sandbox, tmp_path, "web-1", "web-1", OBJECT, env=keys_of(broken.sandbox))
    check("static-key-wins", "AccessKey in the environment", told)
    secret = keys_of(broken.sandbox)["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
    assert secret not in str(told)


@pytest.mark.namespace
def test_another_machine(broken: Broken, tmp_path: Path) -> None:
    told = _on(broken.sandbox, tmp_path, "web-2", "web-1", OBJECT, env=keys_of(broken.sandbox))
    check("wrong-instance", "on web-2, asked for web-1", told)


@pytest.mark.namespace
def test_live_on_the_instance_all_is_well(broken: Broken, tmp_path: Path) -> None:
    """Live by every appearance, with the role's own credential and no key: the machine this runs on."""
    for policy in ("AliyunECSReadOnlyAccess", "AliyunRAMReadOnlyAccess"):
        broken.role.grant(policy)
    told = _on(broken.sandbox, tmp_path, "web-1", None, None)
    check("healthy", "live, on the instance", told)
    assert "EcsRamRole" in str(told["probes"])


@pytest.mark.namespace
def test_no_instance_at_all(tmp_path: Path) -> None:
    check("not-on-ecs", "live, nowhere", live_child(None, "", tmp_path, "i-bp1nosuchinstance", OBJECT))


_FULL_BACKLOG = """
import socket, sys
from ramrole_nb.sandbox.relay import take_addresses
take_addresses("100.100.100.200")
kept = []
listener = socket.socket()
listener.bind(("100.100.100.200", 80))
listener.listen(0)
for _ in range(4):  # nobody accepts, and the queue is full: the kernel drops what comes now
    kept.append(socket.socket())
    kept[-1].setblocking(False)
    kept[-1].connect_ex(("100.100.100.200", 80))
"""


@pytest.mark.namespace
@pytest.mark.parametrize("full", [False, True])
def test_a_firewall_that_drops_everything(tmp_path: Path, full: bool) -> None:
    fake = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAInobody", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "nobody-may-sign"}
    told = live_child(
        None, "", tmp_path, "i-bp1nosuchinstance", OBJECT, env=fake, before=_FULL_BACKLOG, full=full
    )
    check("metadata-unreachable", f"a full backlog, full={full}", told)
    assert told["seconds"] < 10


_ALL_FULL = (
    _FULL_BACKLOG
    + """
import subprocess, tempfile
take_addresses("198.18.0.1", "100.100.100.200")
for port in (80, 443):
    listener = socket.socket()
    listener.bind(("198.18.0.1", port))
    listener.listen(0)
    kept.append(listener)
    for _ in range(4):
        kept.append(socket.socket())
        kept[-1].setblocking(False)
        kept[-1].connect_ex(("198.18.0.1", port))
names = ["ram", "sts.cn-beijing", "ecs.cn-beijing", "oss-cn-beijing", "sandbox-photos.oss-cn-beijing"]
with tempfile.NamedTemporaryFile("w", suffix=".hosts", delete=False) as hosts:
    hosts.write("".join(f"198.18.0.1 {name}.aliyuncs.com\\n" for name in names))
subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
"""
)


@pytest.mark.namespace
@pytest.mark.parametrize("instance", ["i-bp1nosuchinstance", None])
def test_where_nothing_at_all_answers(tmp_path: Path, instance: str | None) -> None:
    """The metadata service and every service: queues that are full. The whole run, everything asked, within ten seconds."""
    fake = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAInobody", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "nobody-may-sign"}
    told = live_child(None, "", tmp_path, instance, OBJECT, env=fake, before=_ALL_FULL, full=True)
    true = "metadata-unreachable" if instance else "service-unreachable"
    check(true, "nothing answers", told)
    slow = [row for row in told["probes"] if row["ms"] > 1000]
    assert slow, "somebody answered: this test tests nothing"


def test_crcmod_without_its_extension(broken: Broken, tmp_path: Path) -> None:
    import crcmod

    pure = tmp_path / "pure" / "crcmod"
    pure.mkdir(parents=True)
    for source in Path(crcmod.__file__).parent.glob("*.py"):
        (pure / source.name).write_bytes(source.read_bytes())
    broken.bucket().put_object("big.bin", b"x" * 8 * 1024 * 1024)
    script = (
        "import json, sys\nimport ramrole_nb as rr\nfrom ramrole_nb.doctor.diagnose import diagnose\n"
        "cloud = rr.connect('sandbox', state=sys.argv[1])\n"
        "print(json.dumps(diagnose('web-1', 'oss://sandbox-photos/big.bin', cloud=cloud).to_dict()))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(pure.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(broken.sandbox.state)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    import json

    check("crc-slow", "a copy without the extension", json.loads(done.stdout))


def test_jupyterlab_without_the_widgets(broken: Broken, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "lab")], check=True)
    told = broken.look(front_end=str(tmp_path / "lab" / "bin" / "python"))
    check("widgets-out-of-step", "a front end without jupyterlab_widgets", told.to_dict())


def _old_sdk() -> str:
    folder = os.environ.get("RAMROLE_FOREIGN", "")
    python = Path(folder, "old-credentials", "venv", "bin", "python")
    return str(python) if folder and python.exists() else ""


@pytest.mark.parametrize(("true", "hardened"), [("client-too-old", False), ("client-without-token", True)])
def test_an_sdk_under_the_minimum(broken: Broken, true: str, hardened: bool) -> None:
    """With the real old package where tests/doctor/prepare has installed it; else on recorded evidence."""
    if python := _old_sdk():
        broken.others.instances["web-1"].set_hardening(hardened)
        check(true, "alibabacloud_credentials 0.3.5", broken.look(python=python).to_dict())
        return
    old = Surroundings(python="3.11.7", packages={"alibabacloud_credentials": "0.3.5", "oss2": "2.19.1"})
    recorded(true, "alibabacloud_credentials 0.3.5", Evidence(
        around=old, http_tokens="required" if hardened else "optional", instance_id="i-bp1x", status="Running"))  # fmt: skip


# ---- recorded evidence †


def recorded(true: str, case: str, evidence: Evidence) -> None:
    findings = judge(evidence)
    first = findings[0].cause if findings else "healthy"
    named.append((true, first, case, "†"))
    assert first == true, findings


_READ = NamedDocument(
    "AliyunOSSReadOnlyAccess", "System",
    parse_policy({"Version": "1", "Statement": [{"Effect": "Allow", "Action": ["oss:Get*"], "Resource": "*"}]}),
)  # fmt: skip
_SILENT = Answer(False, "no answer. TimeoutError: timed out", "metadata-unreachable", silent=True)


def _refusal(cause: str, **more: Any) -> Evidence:
    return Evidence(
        asked=Asked("i-bp1x", "photos", "a.png"), account="1", instance_id="i-bp1x", bucket_region="cn-beijing",
        signer="the role R", object=Answer(False, "refused", cause, "AccessDenied", 403, **more), documents=(_READ,),
    )  # fmt: skip


RECORDED = [
    ("acl-refuses", "somebody else's bucket", _refusal("acl-refuses", message="… does not belong to you.")),
    ("control-policy", "a resource directory", _refusal("control-policy")),
    ("access-denied", "allowed by all that can be read", _refusal("permission-missing", ec="0003-00000001")),
    ("container-without-metadata", "docker on ECS", Evidence(
        asked=Asked("i-bp1x"), direct=True, metadata=_SILENT,
        around=Surroundings(vendor="Alibaba Cloud", container="/.dockerenv"))),
    ("metadata-unreachable", "a firewall on ECS", Evidence(
        asked=Asked("i-bp1x"), direct=True, metadata=_SILENT, around=Surroundings(vendor="Alibaba Cloud"))),
    ("not-on-ecs", "a laptop", Evidence(
        asked=Asked("i-bp1x"), direct=True, metadata=_SILENT, around=Surroundings(vendor="LENOVO"))),
    ("widgets-out-of-step", "ipywidgets 8.1.9 in VS Code", Evidence(
        around=Surroundings(packages={"ipywidgets": "8.1.9"}, notebook="VS Code"))),
    ("clock-skew", "a clock by which all has expired", Evidence(
        asked=Asked("i-bp1x"), credential=Answer(True), seconds_left=-7_200.0, listed="R", role_name="R",
        session=Answer(False, "refused", "clock-skew", "InvalidTimeStamp.Expired", 400))),
    ("client-too-old", "an old CLI", Evidence(around=Surroundings(cli="3.0.200"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("true", "case", "evidence"), RECORDED, ids=[f"{row[0]}: {row[1]}" for row in RECORDED]
)
def test_on_recorded_evidence(true: str, case: str, evidence: Evidence) -> None:
    recorded(true, case, evidence)


def test_every_true_cause_is_one() -> None:
    causes = {true for true, *_ in WORLDS} | {true for true, *_ in RECORDED}
    assert causes - {"healthy"} <= set(CAUSES)
