"""`tests/run` fails when it must: each of its checks is shown to be able to fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import run as runner

pytestmark = pytest.mark.namespace

SECRET = "issuedEXAMPLEsecret/with+specials=="

ISSUE = f"""
import os
def issue(secret={SECRET!r}):
    with open(os.environ["RAMROLE_SECRETS_FILE"], "a") as file:
        file.write(secret + "\\n")
"""


def run_small(
    directory: Path, body: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Let `tests/run` run one small test file, as a person would."""
    path = directory / "test_small.py"
    path.write_text(ISSUE + body)
    env = {k: v for k, v in os.environ.items() if not k.startswith("RAMROLE_")}
    # With CI, the run removes what it left; without other plugins it starts sooner.
    env |= {"CI": "true", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | variables
    command = [sys.executable, str(runner.SCRIPT), "-p", "no:cacheprovider", *arguments, str(path)]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=60)


def test_a_good_run_passes_and_leaves_nothing(tmp_path: Path) -> None:
    run = run_small(
        tmp_path,
        """
def test_it(tmp_path):
    issue()
    (tmp_path / "state.db").touch(mode=0o600)
    (tmp_path / "state.db").write_text(open(os.environ["RAMROLE_SECRETS_FILE"]).read())
""",
    )
    assert run.returncode == 0, run.stdout
    assert "1 passed" in run.stdout
    assert "leak search: 1 issued secrets in no file of the run, 8 plants found" in run.stdout


def test_there_is_no_network_inside(tmp_path: Path) -> None:
    run = run_small(
        tmp_path,
        """
import socket, pytest, subprocess, sys
def test_it():
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 80), timeout=5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    child = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    assert "unreachable" in subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stderr
""",
    )
    assert run.returncode == 0, run.stdout


def test_using_the_environments_proxy_fails_the_run(tmp_path: Path) -> None:
    run = run_small(
        tmp_path,
        """
import http.client
def test_it():
    connection = http.client.HTTPConnection(os.environ["http_proxy"].removeprefix("http://"), timeout=5)
    connection.request("GET", "http://user:pass@service.example/path?Signature=abcdefghijkl")
    try:
        connection.getresponse()
    except OSError:
        pass
""",
    )
    assert run.returncode == 1, run.stdout
    assert "proxy was asked 1 times; first: 'GET http://service.example/path'" in run.stdout
    assert "abcdefghijkl" not in run.stdout


@pytest.mark.parametrize(
    "leak",
    [
        '(tmp_path / "log.txt").write_text(secret)',
        'open(os.environ["RAMROLE_ARTEFACTS"] + "/saved.ipynb", "w").write(secret)',
        'open(os.path.expanduser("~/history"), "w").write(secret)',
        "print(secret); assert False",
    ],
)
def test_a_leak_fails_the_run_and_is_not_repeated(tmp_path: Path, leak: str) -> None:
    run = run_small(tmp_path, f"def test_it(tmp_path):\n    issue()\n    secret = {SECRET!r}\n    {leak}\n")
    assert run.returncode == 1, run.stdout
    assert "FAILED a secret leaked into" in run.stdout
    assert SECRET not in run.stdout.split("leaked into")[-1]


def test_the_environments_key_must_not_leak_either(tmp_path: Path) -> None:
    body = """
def test_it(tmp_path):
    issue()
    (tmp_path / "x").write_text(os.environ["OSS_ACCESS_KEY_SECRET"])
"""
    assert run_small(tmp_path, body).returncode == 1


def test_a_process_left_running_is_ended_and_fails_the_run(tmp_path: Path) -> None:
    body = """
import subprocess
def test_it():
    issue()
    subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
    run = run_small(tmp_path, body)
    assert run.returncode == 1, run.stdout
    assert "FAILED a process was left running: sleep 600" in run.stdout


def test_a_failing_test_keeps_its_exit_code(tmp_path: Path) -> None:
    assert run_small(tmp_path, "def test_it():\n    issue()\n    assert False\n").returncode == 1
    assert run_small(tmp_path, "raise SystemError\n").returncode == 2


def test_a_search_without_secrets_is_void_for_the_whole_suite_only(tmp_path: Path) -> None:
    secrets, artefacts = tmp_path / "secrets", tmp_path / "artefacts"
    secrets.touch()
    artefacts.mkdir()
    assert "void" in runner.judge_leaks([tmp_path], artefacts, secrets, whole=True)[0]
    assert runner.judge_leaks([artefacts], artefacts, secrets, whole=False) == []


def test_plants_that_are_not_found_fail_the_run(tmp_path: Path) -> None:
    secrets, artefacts, elsewhere = tmp_path / "secrets", tmp_path / "artefacts", tmp_path / "elsewhere"
    secrets.write_text(SECRET)
    for folder in (artefacts, elsewhere):
        folder.mkdir()
    problems = runner.judge_leaks([elsewhere], artefacts, secrets, whole=True)
    assert len(problems) == 8
    assert all(problem.startswith("planted secret not found") for problem in problems)


def test_a_short_secret_makes_the_search_void(tmp_path: Path) -> None:
    secrets, artefacts = tmp_path / "secrets", tmp_path / "artefacts"
    secrets.write_text("short")
    artefacts.mkdir()
    assert "void" in runner.judge_leaks([artefacts], artefacts, secrets, whole=True)[0]


def test_artefacts_of_an_earlier_run_are_not_mixed_in(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    run = run_small(tmp_path, "", RAMROLE_ARTEFACTS=str(tmp_path / "old"))
    assert run.returncode == 64
    assert "is not empty" in run.stdout


def test_artefacts_are_kept_where_asked(tmp_path: Path) -> None:
    run = run_small(tmp_path, "def test_it(): issue()\n", RAMROLE_ARTEFACTS=str(tmp_path / "new"))
    assert run.returncode == 0, run.stdout
    assert "1 passed" in (tmp_path / "new" / "pytest.log").read_text()


def test_where_namespaces_are_forbidden_it_says_so_loudly(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    fake = tools / "unshare"
    fake.write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n")
    fake.chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    run = run_small(tmp_path, "def test_it(): issue()\n", PATH=path)
    assert run.returncode == 0, run.stdout
    assert "NO NETWORK NAMESPACE: the kernel or container forbids it" in run.stdout
    assert run.stdout.rstrip().splitlines()[-2].startswith("! this run had NO NETWORK NAMESPACE")
    refused = run_small(tmp_path, "def test_it(): issue()\n", PATH=path, RAMROLE_REQUIRE_NETNS="1")
    assert refused.returncode == 3


def test_live_tests_are_sent_elsewhere(tmp_path: Path) -> None:
    run = run_small(tmp_path, "", RAMROLE_LIVE="1")
    assert run.returncode == 64
    assert "make live" in run.stdout
