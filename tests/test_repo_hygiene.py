"""No file of the repository holds what must not be published."""

import re
from pathlib import Path

import pytest

from tests.support.files import ROOT, tracked
from tests.support.hostile import FAKE_KEY_ID

# Written in pieces, so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(r"(?<![\w.~/-])/(?:wor" + r"k|roo" + r"t)/|/tm" + r"p/w/")
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(host.replace(" ", "."))
        for host in (
            "pypi org",
            "pythonhosted org",
            "npmjs org",
            "npmjs com",
            "yarnpkg com",
            "crates io",
            "proxy golang org",
            "maven org",
            "maven apache org",
            "deb debian org",
            "rubygems org",
            "nuget org",
            "packagist org",
        )
    )
)
# As in the shape of real access keys: the ids of users and of temporary credentials.
ACCESS_KEYS = re.compile(r"\b(?:LTAI[0-9A-Za-z]{12,30}|STS\.[0-9A-Za-z]{20,})\b")
MARKS = ("SANDBOX", "EXAMPLE")
PLACEHOLDERS = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")

# Keys that the vendor itself prints with its signature examples -> where. Nothing else may be added.
PUBLISHED: dict[str, str] = {}


def text(path: Path) -> str:
    """Return a file's text; empty for a binary one."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def real_keys(content: str) -> list[str]:
    """Return what has the shape of a real access key and carries no mark."""
    found = ACCESS_KEYS.findall(content)
    return [key for key in found if key not in PUBLISHED and not any(mark in key.upper() for mark in MARKS)]


def lines(pattern: re.Pattern[str], content: str) -> list[str]:
    return [line.strip()[:160] for line in content.splitlines() if pattern.search(line)]


FILES = {str(path.relative_to(ROOT)): path for path in tracked()}
OURS = [name for name in FILES if name.startswith(("ramrole_nb/", "notebooks/"))]


def test_there_is_something_to_check() -> None:
    assert "pyproject.toml" in FILES
    assert "ramrole_nb/errors.py" in OURS


def test_no_path_of_somebodys_machine() -> None:
    assert {name: hits for name, path in FILES.items() if (hits := lines(MACHINE_PATHS, text(path)))} == {}


def test_no_package_registry() -> None:
    """Which registry is asked is the business of whoever installs."""
    assert {name: hits for name, path in FILES.items() if (hits := lines(REGISTRY_HOSTS, text(path)))} == {}


def test_no_real_access_key() -> None:
    assert {
        name: hits for name, path in FILES.items() if (hits := [k[:8] for k in real_keys(text(path))])
    } == {}


def test_nothing_is_left_to_do_in_the_package() -> None:
    assert {name: hits for name in OURS if (hits := lines(PLACEHOLDERS, text(FILES[name])))} == {}


def test_no_private_file_is_tracked() -> None:
    private = {".env", "runtime.json", "state.db", "ca-key.pem", "credentials", ".netrc"}
    assert [name for name in FILES if Path(name).name in private] == []


@pytest.mark.parametrize(
    ("pattern", "content"),
    [
        (MACHINE_PATHS, 'open("/wor' + 'k/main/x")'),
        (MACHINE_PATHS, "cd /roo" + "t/project"),
        (REGISTRY_HOSTS, "pip install --index-url https://py" + "pi.org/simple x"),
        (PLACEHOLDERS, "# TO" + "DO: later"),
    ],
)
def test_the_patterns_find_what_they_must(pattern: re.Pattern[str], content: str) -> None:
    assert lines(pattern, content)


@pytest.mark.parametrize("content", ["a/work/b", "https://host/work/x", "~/work/x", "network/", "/tmp/ww"])
def test_ordinary_paths_are_fine(content: str) -> None:
    assert not lines(MACHINE_PATHS, content)


def test_access_keys_are_told_from_marked_ones() -> None:
    real, temporary = "LTAI" + "5tAbCdEfGhIjKlMnOpQr", "STS." + "NUabcdefghijklmnopqrstuv"
    assert real_keys(f"id={real} sts={temporary}") == [real, temporary]
    assert real_keys(f"{FAKE_KEY_ID} LTAISANDBOX00000000000 STS.L4aBSCSJVMuKg5U1****") == []
