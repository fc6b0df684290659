"""The page's three methods, really run: which requests each makes, what it gets, and what a refusal means."""

from __future__ import annotations

import json
import os
import stat
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud import methods
from ramrole_nb.cloud.metadata import HARDENED, NORMAL
from ramrole_nb.cloud.method_run import MethodRun
from ramrole_nb.cloud.programs import run_program
from ramrole_nb.cloud.seen import NOBODY_SEES, RequestsSeen
from ramrole_nb.errors import (
    Cancelled,
    CredentialsExpired,
    HardenedOnly,
    InputError,
    MetadataUnreachable,
    NoRoleAttached,
    RamroleError,
    TokenRefused,
    WrongRoleName,
)
from ramrole_nb.jobs import Job
from ramrole_nb.sandbox import run_on
from tests.support.files import ROOT
from tests.support.hostile import PROXY_VARIABLES
from tests.support.threads import threads_settle

if TYPE_CHECKING:
    from ramrole_nb.cloud.instances import BoundInstance
    from ramrole_nb.cloud.session import Cloud
    from ramrole_nb.sandbox import Sandbox
    from tests.cloud.conftest import Hands

ROLE = "EcsRamRole"
LIST = "GET /latest/meta-data/ram/security-credentials/"
PUT = "PUT /latest/api/token"


def with_role(cloud: Cloud, name: str = "web-1") -> BoundInstance:
    return cloud.instances[name].attach(cloud.roles.create(ROLE))


@pytest.fixture
def vm(cloud: Cloud) -> BoundInstance:
    return with_role(cloud)


def lines(run: MethodRun) -> list[str]:
    return [f"{request.method} {request.target}" for request in run.requests]


def no_secret(hands: Hands, *shown: Any) -> None:
    text = "".join(f"{value!r}{getattr(value, '_repr_html_', str)()}" for value in shown)
    for key, pair in hands.issued().items():
        for secret in (key, *pair):
            assert secret not in text


# ---- each method and its requests


def test_the_credentials_tool_and_the_four_requests_it_makes(vm: BoundInstance, hands: Hands) -> None:
    run = methods.fetch_with_tool(vm)
    assert lines(run) == [PUT, LIST, PUT, LIST + ROLE]
    assert {request.mode for request in run.requests} == {HARDENED}
    assert {request.maker for request in run.requests} == {"Credentials tool (Python)"}
    assert run.requests[0].curl.startswith("curl -X PUT")
    assert run.credential is not None
    assert run.credential.role_name == ROLE
    assert run.credential.expiration is None, "get_credential() does not tell it"
    [key] = hands.issued()
    assert run.credential.access_key_id == f"STS.********{key[-4:]}"
    no_secret(hands, run)
    assert "get_credential()" in run.code


def test_with_the_role_named_it_makes_two(vm: BoundInstance) -> None:
    assert lines(methods.fetch_with_tool(vm, ROLE)) == [PUT, LIST + ROLE]


def test_the_code_shown_is_a_program(vm: BoundInstance, world: Sandbox) -> None:
    """Run word for word, but for what leads to the instance."""
    code = methods.fetch_with_tool(vm).code.replace(
        "disable_imds_v1=True)", f"disable_imds_v1=True, proxy={str.__str__(world.proxy_url('web-1'))!r})"
    )
    ended = run_program(
        [sys.executable, "-W", "ignore", "-c", code + "import os; print(end='', flush=True); os._exit(0)"],
        vm.context.environment(""),
    )
    assert ended.out == "STS. ...\n", ended.err


def test_the_metadata_service_in_both_modes(vm: BoundInstance, hands: Hands) -> None:
    hardened = methods.fetch_with_metadata(vm)
    assert lines(hardened) == [PUT, LIST, LIST + ROLE]
    normal = methods.fetch_with_metadata(vm, mode=NORMAL)
    assert lines(normal) == [LIST, LIST + ROLE]
    assert {request.mode for request in normal.requests} == {NORMAL}
    assert hardened.credential is not None
    assert hardened.credential.expiration is not None
    assert "$TOKEN" in hardened.requests[1].curl
    no_secret(hands, hardened, normal)


def test_our_provider_asks_once_and_then_not_again(vm: BoundInstance) -> None:
    threads = threading.active_count()
    first = methods.fetch_with_provider(vm)
    assert lines(first) == [PUT, LIST, LIST + ROLE]
    for _ in range(20):
        again = methods.fetch_with_provider(vm)
        assert again.requests == ()
    assert "no request" in again.note
    anew = methods.fetch_with_provider(vm, refresh=True)
    assert lines(anew) == lines(first)
    assert "same credential" in anew.note
    assert threads_settle(threads)


def test_side_by_side(vm: BoundInstance, hands: Hands) -> None:
    threads = threading.active_count()
    runs = methods.fetch_all(vm)
    assert [run.method for run in runs] == [methods.TOOL, methods.METADATA, methods.CLI]
    assert [run.outcome for run in runs] == ["got a credential", "got a credential", "not run"]
    assert "the same credential" in runs.note
    assert "CLI (aliyun) is not installed" in runs[2].note
    for shown in (repr(runs), runs._repr_html_()):
        assert "aliyun configure set --profile EcsProfile --mode EcsRamRole" in shown
        assert LIST + ROLE in shown
    no_secret(hands, runs)
    methods.fetch_with_tool(vm)
    assert threads_settle(threads), "the SDK's scheduler threads are not ours"


def test_a_windows_instance_is_no_different(cloud: Cloud) -> None:
    runs = methods.fetch_all(with_role(cloud, "windows-1"))
    assert [run.outcome for run in list(runs)[:2]] == ["got a credential"] * 2


def test_a_proxy_of_the_environment_sees_nothing(vm: BoundInstance) -> None:
    """The tests' environment names one in every spelling; whoever used it would fail, or be heard."""
    assert all(os.environ[name].startswith("http://127.0.0.1:") for name in PROXY_VARIABLES)
    environment = vm.context.environment("")
    assert not [name for name in environment if name.lower().endswith("_proxy")]
    assert [run.outcome for run in list(methods.fetch_all(vm))[:2]] == ["got a credential"] * 2


def test_the_sdks_own_switches_do_not_decide(vm: BoundInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA", "SomeOtherRole")
    assert methods.fetch_with_tool(vm).outcome == "got a credential"


# ---- refusals


def test_no_role(cloud: Cloud) -> None:
    vm = cloud.instances["web-2"]
    with pytest.raises(NoRoleAttached) as caught:
        methods.fetch_with_tool(vm)
    assert "HttpCode=404" in caught.value.reason, "the tool's own words are kept"
    assert "cloud.instances['web-2'].attach(role)" in caught.value.next_step
    runs = methods.fetch_all(vm)
    assert [type(run.error) for run in runs] == [NoRoleAttached, NoRoleAttached, type(None)]
    assert lines(runs[0]) == [PUT, LIST], "what it asked is seen though it failed"


def test_a_wrong_role_name(vm: BoundInstance) -> None:
    for fetch in (methods.fetch_with_tool, methods.fetch_with_metadata):
        with pytest.raises(WrongRoleName, match=f"Did you mean '{ROLE}'"):
            fetch(vm, "EcsRamRol")


def test_both_modes_on_an_instance_in_hardened_only_mode(cloud: Cloud) -> None:
    vm = with_role(cloud, "hardened-1")
    runs = methods.compare_modes(vm)
    assert [type(run.error) for run in runs] == [type(None), HardenedOnly]
    assert [request.status for request in runs[1].requests] == [403]
    for shown in (repr(runs), runs._repr_html_()):
        assert "HttpTokens=required" in shown
        assert "ask in security hardening mode" in shown
    assert "Only security hardening mode answers" in runs.note
    assert methods.fetch_with_tool(vm, mode=NORMAL).outcome == "got a credential", "it asks for a token first"
    assert "Both modes answer" in methods.compare_modes(with_role(cloud, "web-1")).note


def test_metadata_disabled(vm: BoundInstance, world: Sandbox) -> None:
    world.fault("imds-disabled")
    for fetch in (methods.fetch_with_tool, methods.fetch_with_metadata):
        with pytest.raises(TokenRefused, match="403"):
            fetch(vm)
    runs = methods.compare_modes(vm)
    assert all(run.error is not None for run in runs)
    assert "What a mode refused" in runs.note


def test_an_expired_credential(vm: BoundInstance, world: Sandbox) -> None:
    world.fault("credentials-expired")
    with pytest.raises(CredentialsExpired):
        methods.fetch_with_tool(vm)
    with pytest.raises(CredentialsExpired):
        methods.fetch_with_provider(vm)


def test_a_bad_mode(vm: BoundInstance) -> None:
    for fetch in (methods.fetch_all, methods.fetch_with_tool, methods.fetch_with_metadata):
        with pytest.raises(InputError, match="Did you mean 'normal'"):
            fetch(vm, mode="norml")


def test_a_run_can_be_cancelled(vm: BoundInstance, world: Sandbox) -> None:
    world.set(metadata_delay=0.4)
    job: Job[MethodRun] = Job(lambda ctx: methods.fetch_with_tool(vm, ctx=ctx))
    job.start()
    seen = RequestsSeen(vm.context, vm.instance_id)
    while not seen.take():
        pass
    job.cancel()
    with pytest.raises(Cancelled):
        job.wait(5)
    time.sleep(0.5)  # the request it was in ends in the journal too, and not in that of another test


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(RamroleError, match="did not end within"):
        run_program([sys.executable, "-c", "import time; time.sleep(60)"], os.environ, timeout=0.3)
    with pytest.raises(RamroleError, match="cannot be started"):
        run_program(["/no/such/program"], os.environ)


# ---- off the instance


def elsewhere(vm: BoundInstance) -> BoundInstance:
    """The same instance in a session that runs on no instance and sees no journal."""
    context = vm.context
    endpoints = replace(context.endpoints, instance_proxies={})
    return replace(vm, context=replace(context, endpoints=endpoints, sandbox=None))


def test_off_the_instance_it_says_so_and_gives_the_code(vm: BoundInstance) -> None:
    away = elsewhere(vm)
    assert "only on the instance itself" in methods.why_not_from_here(away)
    assert methods.why_not_from_here(vm) == ""
    for fetch in (
        methods.fetch_all,
        methods.compare_modes,
        methods.fetch_with_tool,
        methods.fetch_with_provider,
    ):
        with pytest.raises(MetadataUnreachable) as caught:
            fetch(away)
        assert "on the instance" in caught.value.next_step
    code = methods.by_hand(ROLE, region_id="cn-beijing")
    assert list(code) == [methods.TOOL, methods.METADATA, methods.CLI]
    assert f'role_name="{ROLE}"' in code[methods.TOOL].replace("'", '"')
    assert f"security-credentials/{ROLE}" in code[methods.METADATA]
    assert "TOKEN" not in methods.by_hand(mode=NORMAL)[methods.METADATA]
    assert "--ram-role-name" not in methods.by_hand()[methods.CLI]


# A live session on an instance: nothing here knows of a sandbox. The role may not list instances, so it is made by hand.
_ON_THE_INSTANCE = """
    import json, sys
    import ramrole_nb as rr
    from ramrole_nb.cloud import methods
    from ramrole_nb.cloud.instance import BoundInstance
    from ramrole_nb.cloud.metadata import NORMAL

    context = rr.connect("live", region="cn-beijing").context
    me = BoundInstance(instance_id=sys.argv[1], name="me", region_id="cn-beijing", context=context)
    other = BoundInstance(instance_id="i-another", name="other", region_id="cn-beijing", context=context)
    runs = methods.fetch_all(me)
    provider = methods.fetch_with_provider(me)
    print(json.dumps({
        "why": [methods.why_not_from_here(me), methods.why_not_from_here(other)],
        "outcomes": [run.outcome for run in runs],
        "requests": [len(run.requests) for run in [*runs, provider]],
        "keys": [run.credential.access_key_id for run in [runs[0], runs[1], provider]],
        "note": runs.note,
    }))
"""


@pytest.mark.namespace
def test_live_on_the_instance(vm: BoundInstance, world: Sandbox, tmp_path: Path) -> None:
    sockets = world._running().sockets
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(_ON_THE_INSTANCE), vm.instance_id]
    environment = run_on.child_environment("", os.environ, ca_file=world.start_line["ca_file"])
    ended = run_program(
        run_on.namespace_command(sockets[vm.instance_id], command),
        {**environment, "RAMROLE_STATE": str(tmp_path), "PYTHONPATH": str(ROOT)},
        timeout=60,
    )
    found = json.loads(ended.out)
    assert found["why"][0] == ""
    assert found["why"][1].startswith(f"This is the instance {vm.instance_id}; the metadata of i-another")
    assert found["outcomes"] == ["got a credential", "got a credential", "not run"]
    assert found["requests"] == [0, 3, 0, 3], "of the tool's own, none are seen"
    assert len(set(found["keys"])) == 1
    assert NOBODY_SEES in found["note"]


def test_where_nobody_sees_the_requests_it_is_said(vm: BoundInstance) -> None:
    blind = replace(vm, context=replace(vm.context, sandbox=None))
    run = methods.fetch_with_tool(blind)
    assert run.requests == ()
    assert NOBODY_SEES in run.note
    assert NOBODY_SEES in methods.fetch_all(blind).note
    seen = RequestsSeen(blind.context, blind.instance_id)
    blind.metadata.credentials()
    assert [f"{r.method} {r.target} {r.mode}" for r in seen.take()] == [
        f"{PUT} {HARDENED}",
        f"{LIST} {HARDENED}",
        f"{LIST}{ROLE} {HARDENED}",
    ], "our own are, through the wire"


# ---- the CLI

# Stands in for the Alibaba Cloud CLI, which is not among the test requirements: the same commands, environment and
# requests. It asks the metadata service and STS through nothing but what it is given: proxies, the CA, and a home.
_ALIYUN = """
    import json, os, sys, urllib.request
    from pathlib import Path

    profile = Path(os.environ["HOME"], ".aliyun", "config.json")
    words = sys.argv[1:]
    if words == ["version"]:
        print("VERSION")
    elif words[:2] == ["configure", "set"]:
        profile.parent.mkdir()
        profile.write_text(json.dumps(dict(zip(words[2::2], words[3::2]))))
    else:
        held = json.loads(profile.read_text())
        assert held["--mode"] == "EcsRamRole" and words == ["sts", "GetCallerIdentity", "--profile", held["--profile"]]
        base = "http://100.100.100.200/latest/"

        def ask(path, **more):
            headers = {"User-Agent": "Aliyun-CLI/VERSION", **more.pop("headers", {})}
            sent = urllib.request.Request(base + path, headers=headers, **more)
            return urllib.request.urlopen(sent, timeout=5).read().decode()

        token = ask("api/token", method="PUT", headers={"X-aliyun-ecs-metadata-token-ttl-seconds": "21600"})
        with_token = {"headers": {"X-aliyun-ecs-metadata-token": token}}
        folder = "meta-data/ram/security-credentials/"
        try:
            role = held.get("--ram-role-name") or ask(folder, **with_token)
            found = json.loads(ask(folder + role, **with_token))
        except Exception as error:
            sys.exit(f"ERROR: refresh Ecs sts token err: {error}")
        from alibabacloud_sts20150401.client import Client
        from alibabacloud_tea_openapi.models import Config
        config = Config(
            access_key_id=found["AccessKeyId"], access_key_secret=found["AccessKeySecret"],
            security_token=found["SecurityToken"], endpoint="sts.cn-beijing.aliyuncs.com",
            ca=os.environ["SSL_CERT_FILE"],
        )
        print(json.dumps(Client(config).get_caller_identity().body.to_map()))
"""


@pytest.fixture
def aliyun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a CLI of a version on the PATH."""

    def install(version: str) -> None:
        program = tmp_path / "aliyun"
        text = textwrap.dedent(_ALIYUN).replace("VERSION", version)
        program.write_text(f"#!{sys.executable} -Wignore\n{text}")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


def test_the_cli_as_on_the_instance(vm: BoundInstance, aliyun: Any, hands: Hands) -> None:
    aliyun("3.3.1")
    run = methods.fetch_with_cli(vm, ROLE)
    assert run.identity.endswith(f":assumed-role/{ROLE}/vm-ram-{vm.instance_id}")
    assert lines(run) == [PUT, LIST + ROLE, "POST Sts:GetCallerIdentity"]
    assert run.metadata_requests == 2
    assert run.note.startswith("CLI 3.3.1. The CLI does not show the credential")
    assert not Path(os.environ["HOME"], ".aliyun").exists(), "its profile was in a folder of its own"
    no_secret(hands, run)
    assert [run.outcome for run in methods.fetch_all(vm)] == ["got a credential"] * 3


@pytest.mark.parametrize(
    ("version", "said"),
    [("3.0.100", "too old. Below 3.0.248 it asks for no token"), ("3.0.250", "3.3.0 or later: update it")],
)
def test_an_older_cli_is_said(vm: BoundInstance, aliyun: Any, version: str, said: str) -> None:
    aliyun(version)
    assert said in methods.fetch_with_cli(vm).note


def test_what_the_cli_says_of_a_wrong_name_is_explained(vm: BoundInstance, aliyun: Any) -> None:
    aliyun("3.3.0")
    with pytest.raises(WrongRoleName, match=f"Did you mean '{ROLE}'") as caught:
        methods.fetch_with_cli(vm, "EcsRamRol")
    assert "refresh Ecs sts token err" in caught.value.reason


# ---- seeing


def test_requests_are_counted_by_who_makes_them(vm: BoundInstance, cloud: Cloud) -> None:
    seen = RequestsSeen(vm.context, vm.instance_id)
    other = RequestsSeen(vm.context, cloud.instances["web-2"].instance_id)
    methods.fetch_with_tool(vm)
    vm.credentials()
    vm.credentials()
    assert len(seen.take()) == 7
    assert seen.counts == {"Credentials tool (Python)": 4, "ramrole_nb": 3}
    assert seen.take() == ()
    assert other.take() == ()
    vm.metadata.credentials()
    seen.skip()
    assert seen.take() == ()
    assert json.dumps(seen.counts)


def test_another_sessions_requests_are_seen_too(vm: BoundInstance, world: Sandbox) -> None:
    seen = RequestsSeen(vm.context, vm.instance_id)
    rr.connect(world).instances["web-1"].metadata.credentials(mode=NORMAL)
    assert [request.mode for request in seen.take()] == [NORMAL, NORMAL]
