"""`import ramrole_nb` is light and silent, and every public name is there."""

import json
import subprocess
import sys

import pytest

# What costs time or memory, starts something, or belongs to one mode only.
HEAVY = {
    "IPython",
    "Tea",
    "aiohttp",
    "aliyunsdkcore",
    "anywidget",
    "asyncio",
    "cryptography",
    "darabonba",
    "fastcrc",
    "ipywidgets",
    "jupyterlab",
    "oss2",
    "requests",
    "sqlite3",
    "traitlets",
    "urllib3",
}

WATCHED = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "_thread.start",
    "urllib.",
)

PROBE = f"""
import json, sys, threading
events = []
sys.addaudithook(lambda event, args: events.append(event) if event.startswith({WATCHED!r}) else None)
before = set(sys.modules)
{{statement}}
print(json.dumps({{{{
    "events": events,
    "modules": sorted({{{{m.split(".")[0] for m in set(sys.modules) - before}}}}),
    "threads": threading.active_count(),
}}}}))
"""


def probe(statement: str) -> dict[str, object]:
    """Run a statement in a fresh interpreter; tell what it loaded and started."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement=statement)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    result: dict[str, object] = json.loads(done.stdout)
    return result


def heavy(modules: object) -> list[str]:
    assert isinstance(modules, list)
    return [m for m in modules if m in HEAVY or m.startswith("alibabacloud_")]


@pytest.mark.parametrize(
    "statement",
    [
        "import ramrole_nb",
        "import ramrole_nb; dir(ramrole_nb); ramrole_nb.__version__",
        "import ramrole_nb.cli",
    ],
)
def test_the_import_is_light_and_starts_nothing(statement: str) -> None:
    result = probe(statement)
    assert heavy(result["modules"]) == []
    assert result["events"] == []
    assert result["threads"] == 1


def test_the_probe_can_fail() -> None:
    result = probe("import socket, threading, aiohttp; socket.socket(); threading.Timer(1, print).start()")
    assert "aiohttp" in heavy(result["modules"])
    assert "socket.__new__" in str(result["events"])
    assert result["threads"] == 2


def test_every_public_name_resolves() -> None:
    import ramrole_nb

    missing = [name for name in ramrole_nb.__all__ if not hasattr(ramrole_nb, name)]
    assert missing == []
    assert set(ramrole_nb.__all__) <= set(dir(ramrole_nb))
    assert len(set(ramrole_nb.__all__)) == len(ramrole_nb.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    import ramrole_nb

    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(ramrole_nb, name)


def test_the_version_is_the_one_of_the_build() -> None:
    from importlib.metadata import version

    import ramrole_nb

    assert ramrole_nb.__version__ == version("ramrole_nb")
