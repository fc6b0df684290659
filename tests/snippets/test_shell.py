"""The shell snippets: `aliyun` commands against the vendor's own list of parameters, curl for real."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import ramrole_nb as rr
from ramrole_nb import snippets as s
from ramrole_nb.redact import MASK
from ramrole_nb.sandbox import Sandbox
from tests.snippets.cases import KINDS, READ, usual
from tests.snippets.conftest import Programs
from tests.support.files import ROOT

CONTRACT: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "openapi.json").read_text("utf-8"))
# Options of the CLI itself, by command; from https://github.com/aliyun/aliyun-cli (config/flags.go, oss/lib/ls.go, cp.go).
OWN = {
    "configure": {"--profile", "--mode", "--ram-role-name", "--region"},
    "oss": {"--profile", "--region", "--endpoint", "--sign-version", "--directory", "--force"},
    "api": {"--profile", "--region"},
}

# Programs of the same name that tell what they were given, on a channel which `$(…)` does not catch.
RECORD = """\
exec 3>&1
aliyun() { printf 'aliyun\\0' >&3; for word; do printf '%s\\0' "+$word" >&3; done; }
"""
RECORD_CURL = """\
curl() { printf 'curl\\0' >&3; for word; do printf '%s\\0' "+$word" >&3; done; }
"""


def commands(source: str, folder: Path, *, curl: bool = True) -> list[list[str]]:
    """Return what a real shell makes of a snippet: each program with its arguments."""
    script = folder / "script.sh"
    script.write_text(RECORD + (RECORD_CURL if curl else "") + source, "utf-8")
    done = subprocess.run(
        ["sh", str(script)],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert done.stderr == b"", done.stderr
    found: list[list[str]] = []
    for word in done.stdout.decode().split("\0")[:-1]:
        if word.startswith("+"):
            found[-1].append(word[1:])
        else:
            found.append([word])
    return found


def options(words: list[str]) -> dict[str, str]:
    """Read `--name value` and `--name=value`; a name without a value is `True`'s text."""
    found: dict[str, str] = {}
    for position, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, joined, value = word.partition("=")
        follows = words[position + 1] if position + 1 < len(words) else "--"
        found[name] = value if joined else ("" if follows.startswith("--") else follows)
    return found


@pytest.mark.parametrize("name", KINDS)
def test_the_words_are_those_of_the_api(name: str, tmp_path: Path) -> None:
    made = commands(s.code(usual(name), "shell"), tmp_path)
    assert made
    for program, *words in made:
        if program == "curl":
            assert any(word.startswith("http://100.100.100.200/latest/") for word in words)
            continue
        given = options(words)
        if words[0] in ("configure", "oss"):
            assert set(given) <= OWN[words[0]], given
            assert words[1] in ("set", "ls", "cp")
            continue
        described = CONTRACT[words[0]][words[1]]
        names = {option.removeprefix("--") for option in set(given) - OWN["api"]}
        assert names <= set(described["parameters"]), (words[1], names)
        assert set(described["required"]) <= names


def test_the_calls_are_those_of_the_python_snippet(tmp_path: Path) -> None:
    """Both tabs do the same: the operations agree, but for a look at the end."""
    for name in KINDS:
        source = s.code(usual(name)).replace("_", "").lower()
        for program, *words in commands(s.code(usual(name), "shell"), tmp_path):
            if program == "aliyun" and words[0] in CONTRACT and not words[1].startswith("Describe"):
                assert f"{words[1].lower()}(" in source, (name, words[1])


# shlex knows no command substitution; the shell's own reading of the others is tested above.
@pytest.mark.parametrize("name", [name for name in KINDS if "$(" not in s.code(usual(name), "shell")])
def test_python_reads_the_same_words_as_the_shell(name: str, tmp_path: Path) -> None:
    source = s.code(usual(name), "shell")
    read = [word for word in shlex.split(source, comments=True) if word not in ("\n", "&&")]
    assert read == [word for command in commands(source, tmp_path) for word in command]


def test_a_value_that_begins_with_a_hyphen_stays_a_value(tmp_path: Path) -> None:
    made = commands(s.code(s.CreateRole("R", "{}", "-x"), "shell"), tmp_path)
    assert made[0][-1] == "--Description=-x"
    download = s.DownloadObject("b", "k", "cn-beijing", internal=True, to="-rf")
    assert "./-rf" in commands(s.code(download, "shell"), tmp_path)[-1]


def test_many_instances_are_several_calls(tmp_path: Path) -> None:
    ids = tuple(f"i-{number}" for number in range(201))
    made = commands(s.code(s.AttachRole("R", "cn-beijing", ids, READ), "shell"), tmp_path)
    attached = [options(words) for words in made if words[2] == "AttachInstanceRamRole"]
    assert [len(json.loads(given["--InstanceIds"])) for given in attached] == [100, 100, 1]
    assert tuple(name for given in attached for name in json.loads(given["--InstanceIds"])) == ids
    assert {given["--Policy"] for given in attached} == {READ}


# -- curl, for real ----------------------------------------------------------------------------------------------


@pytest.fixture
def curl() -> str:
    path = shutil.which("curl")
    if not path:
        assert os.environ.get("RAMROLE_REQUIRE_TOOLS") != "1", "curl is missing"
        pytest.skip("no curl on this machine")
    return path


@pytest.mark.usefixtures("curl")
@pytest.mark.parametrize("role", ["Reader", ""])
@pytest.mark.parametrize("mode", ["security hardening", "normal"])
def test_curl_fetches_the_credential(role: str, mode: str, world: Sandbox, programs: Programs) -> None:
    cloud = rr.connect(world)
    cloud.roles.create("Reader")
    vm = cloud.instances["web-1"].attach("Reader")
    mark = int(world.admin.journal()["last"])
    done = programs.shell(s.code(s.FetchCredentials(role, vm.instance_id, mode), "shell"), "web-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert '"Success"' in done.stdout
    mine = vm.credentials(mode=mode)
    assert f"{mine.expiration:%Y-%m-%dT%H:%M:%SZ}" in done.stdout
    for secret in (mine.access_key_secret, mine.security_token, MASK):
        assert str(secret) not in done.stdout
    fetched = next(e for e in world.journal(mark) if e.get("operation") == "GetRoleCredentials")
    assert fetched["mode"] == mode
    assert "curl" in str(fetched["headers"])


@pytest.mark.usefixtures("curl")
def test_curl_is_refused_in_normal_mode_where_the_instance_is_hardened(
    world: Sandbox, programs: Programs
) -> None:
    cloud = rr.connect(world)
    cloud.roles.create("Reader")
    vm = cloud.instances["hardened-1"].attach("Reader")
    action = s.FetchCredentials("Reader", vm.instance_id, "normal")
    done = programs.shell(s.code(action, "shell"), "hardened-1")
    assert "403" in done.stderr
    assert done.stdout.strip() == ""


@pytest.mark.usefixtures("curl")
def test_curl_tells_the_cli_the_region(world: Sandbox, programs: Programs) -> None:
    vm = rr.connect(world).instances["web-1"]
    source = RECORD + s.code(s.WhoAmI(vm.instance_id), "shell")
    done = programs.shell(source, "web-1")
    assert done.stderr == ""
    words = [word.removeprefix("+") for word in done.stdout.split("\0")]
    assert words[words.index("--region") + 1] == vm.region_id
    assert "GetCallerIdentity" in words
