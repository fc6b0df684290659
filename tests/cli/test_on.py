"""`ramrole on INSTANCE -- CMD …`: a program as if on the instance, by proxy and in a namespace at the literal address."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ramrole_nb as rr
from ramrole_nb.sandbox import run_on
from tests.support.files import ROOT

if TYPE_CHECKING:
    from tests.cli.conftest import Ramrole

IMDS = "http://100.100.100.200"

# The page's Linux commands, its two placeholders filled in. Source: ../shared/seed, "security hardening mode" and
# "normal mode".
HARDENED = (
    'TOKEN=`curl -X PUT "http://100.100.100.200/latest/api/token" -H "X-aliyun-ecs-metadata-token-ttl-seconds:300"` \n'
    'curl -H "X-aliyun-ecs-metadata-token: $TOKEN" '
    "http://100.100.100.200/latest/meta-data/ram/security-credentials/EcsRamRole"
)
NORMAL = "curl http://100.100.100.200/latest/meta-data/ram/security-credentials/EcsRamRole"

WAYS = [
    pytest.param((), id="proxy"),
    pytest.param(("--namespace",), id="namespace", marks=pytest.mark.namespace),
]


@pytest.fixture(scope="module", autouse=True)
def _role(running: Ramrole) -> None:
    os.environ["RAMROLE_STATE"] = str(running.state)
    cloud = rr.connect("sandbox")
    role = cloud.roles.create("EcsRamRole")
    cloud.instances.attach(role, ["web-1", "hardened-1"])


def on(
    ramrole: Ramrole, instance: str, way: tuple[str, ...], *program: str, **more: Any
) -> subprocess.CompletedProcess[str]:
    return ramrole("on", instance, *way, "--", *program, **more)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("commands", [HARDENED, NORMAL], ids=["hardening mode", "normal mode"])
def test_the_pages_shell_commands(running: Ramrole, way: tuple[str, ...], commands: str) -> None:
    done = on(running, "web-1", way, "sh", "-c", commands)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["Code"] == "Success"
    assert found["AccessKeyId"].startswith("STS.SANDBOX")
    assert {"AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration", "LastUpdated", "Code"} == set(
        found
    )


@pytest.mark.parametrize("way", WAYS)
def test_on_an_instance_that_is_hardened_only(running: Ramrole, way: tuple[str, ...]) -> None:
    assert json.loads(on(running, "hardened-1", way, "sh", "-c", HARDENED).stdout)["Code"] == "Success"
    refused = on(
        running, "hardened-1", way, "curl", "-s", "-w", "%{http_code}", "-o", "/dev/null", NORMAL.split()[1]
    )
    assert refused.stdout == "403"


@pytest.mark.parametrize("way", WAYS)
def test_which_instance_one_is(running: Ramrole, line: dict[str, Any], way: tuple[str, ...]) -> None:
    url = "http://100.100.100.200/latest/meta-data/instance-id"
    for row in line["instances"][:2]:
        for name in (row["instance_id"], row["name"]):
            assert on(running, name, way, "curl", "-s", url).stdout == row["instance_id"]


@pytest.mark.namespace
def test_the_namespace_needs_no_proxy_and_has_nothing_else(running: Ramrole) -> None:
    script = "curl -s --noproxy '*' http://100.100.100.200/latest/meta-data/region-id; echo; env"
    first, *env = on(running, "web-1", ("--namespace",), "sh", "-c", script).stdout.splitlines()
    assert first == "cn-beijing"
    assert not [
        name
        for name in env
        if name.lower().startswith(("http_proxy", "https_proxy", "all_proxy", "no_proxy"))
    ]
    program = "import socket; print(sorted(n for _, n in socket.if_nameindex()))"
    assert on(running, "web-1", ("--namespace",), sys.executable, "-c", program).stdout == "['lo']\n"


@pytest.mark.namespace
def test_the_namespace_as_an_unprivileged_user() -> None:
    """Where the tests run as root: as nobody, on a state folder of nobody's own."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or not setpriv:
        pytest.skip("it takes root and setpriv to become nobody")
    if Path("/proc/self/uid_map").read_text().split()[2] == "1":
        pytest.skip("a user namespace with one user has no nobody to become")
    nobody = pwd.getpwnam("nobody")
    become = [setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    folder = Path(tempfile.mkdtemp(prefix="rr-nobody-"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    env = {**os.environ, "HOME": str(folder), "RAMROLE_STATE": str(folder / "state"), "TMPDIR": str(folder)}
    # This interpreter may lie where only root reads; the system's can then run the same code.
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    for python, more in ((sys.executable, {}), ("/usr/bin/python3", {"PYTHONPATH": paths})):

        def as_nobody(*arguments: str, python: str = python, more: dict[str, str] = more) -> Any:
            # By way of a shell: what setpriv itself starts still has root's rights on files.
            return subprocess.run(
                [*become, "sh", "-c", 'exec "$0" "$@"', python, *arguments],
                env={**env, **more},
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )

        if as_nobody("-c", "import aiohttp, ramrole_nb").returncode == 0:
            break
    else:
        shutil.rmtree(folder)
        pytest.skip("nobody can read no Python that runs this")
    try:
        assert as_nobody("-c", "import os; print(os.getuid())").stdout == f"{nobody.pw_uid}\n"
        done = as_nobody(
            "-m",
            "ramrole_nb",
            "on",
            "web-1",
            "--namespace",
            "--",
            "curl",
            "-s",
            f"{IMDS}/latest/meta-data/region-id",
        )
        if "does not let us make a network namespace" in done.stderr:
            pytest.skip("this kernel lets only root make namespaces")
        assert (done.returncode, done.stdout) == (0, "cn-beijing"), done.stderr
    finally:
        as_nobody("-m", "ramrole_nb", "sandbox", "stop")
        shutil.rmtree(folder)


# ---- exit codes


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("program", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "exit 255"), 255),
        (("sh", "-c", "kill -TERM $$"), 128 + 15),
        (("sh", "-c", "kill -KILL $$"), 128 + 9),
        (("no-such-program",), 64),
        (("/etc/passwd",), 64),
    ],
)
def test_the_programs_own_exit_code(
    running: Ramrole, way: tuple[str, ...], program: tuple[str, ...], code: int
) -> None:
    done = on(running, "web-1", way, *program)
    assert done.returncode == code
    if code == 64:
        assert "cannot be run" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_arguments_and_streams_pass_through(running: Ramrole, way: tuple[str, ...]) -> None:
    script = "import sys; print(sys.argv[1:]); print('err', file=sys.stderr)"
    done = on(running, "web-1", way, sys.executable, "-c", script, "--state", "x y", "--", "$HOME", "")
    assert done.stdout == "['--state', 'x y', '--', '$HOME', '']\n"
    assert done.stderr == "err\n"


# ---- its environment


def test_what_the_program_finds_in_its_environment(running: Ramrole, line: dict[str, Any]) -> None:
    proxy = line["instances"][0]["proxy_url"]
    given = {
        "no_proxy": "*",
        "NO_PROXY": "*",
        "all_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIx",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        "ALIBABA_CLOUD_IMDSV1_DISABLED": "true",
        "ALIBABACLOUD_ACCESS_KEY_ID": "LTAIx",
        "ALICLOUD_ACCESS_KEY": "LTAIx",
        "OSS_ACCESS_KEY_ID": "LTAIx",
        "OSS_SESSION_TOKEN": "x",
        "KEPT": "yes",
    }
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    env = json.loads(on(running, "web-1", (), sys.executable, "-c", show, env=given).stdout)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        assert env[name] == proxy
    kept = [name for name in given if name in env]
    assert kept == ["http_proxy", "KEPT"]
    bare = run_on.child_environment("", {**given, "HTTPS_PROXY": "x"})
    assert bare == {"KEPT": "yes"}


# ---- instances on which nothing runs


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("instance", "told"),
    [
        ("stopped-1", "is Stopped: nothing runs on it"),
        ("classic-1", "the metadata service answers VPC instances only"),
    ],
)
def test_an_instance_without_metadata_says_why(
    running: Ramrole, way: tuple[str, ...], instance: str, told: str
) -> None:
    done = on(running, instance, way, "curl", "-sS", "http://100.100.100.200/latest/meta-data/")
    assert told in done.stdout + done.stderr


def test_an_unknown_instance(running: Ramrole) -> None:
    done = on(running, "web1", (), "true")
    assert done.returncode == 64
    assert "Did you mean 'web-1'" in done.stderr
    assert "web-1 (i-2zesandboxweb1)" in done.stderr


@pytest.mark.namespace
def test_the_relay_refuses_to_run_where_there_are_other_interfaces() -> None:
    """It would take an address that may be someone's. A virtual device in a namespace of ours stands for the others."""
    make = "ip link add other type dummy 2>/dev/null || ip link add other type veth 2>/dev/null || exit 99"
    program = f"{make}; exec {sys.executable} -m ramrole_nb.sandbox.relay /nowhere -- true"
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", program], capture_output=True, text=True, check=False
    )
    if done.returncode == 99:
        pytest.skip("no virtual network device can be made here")
    assert done.returncode == 1
    assert "refused" in done.stderr


def test_where_namespaces_cannot_be_had(running: Ramrole, tmp_path: Path) -> None:
    """An `unshare` that fails as the kernel's refusal makes it fail; and none at all."""
    fake = tmp_path / "unshare"
    fake.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    done = on(running, "web-1", ("--namespace",), "true", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 1
    assert "does not let us make a network namespace" in done.stderr
    assert "Operation not permitted" in done.stderr
    assert "leave --namespace out" in done.stderr
    done = on(running, "web-1", ("--namespace",), "true", env={"PATH": str(tmp_path / "empty")})
    assert done.returncode == 1
    assert "install util-linux" in done.stderr
