"""The socket guard and the environment cleaner hold, in this very process."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.guard import NetworkRefused, guard, is_loopback
from tests.support.hostile import FAKE_KEY_SECRET, PROXY_VARIABLES, hostile_environment

# Documentation addresses (RFC 5737, RFC 3849): nobody answers there, should the guard ever fail.
OUTSIDE = "192.0.2.1"
OUTSIDE_6 = "2001:db8::1"


@pytest.fixture
def refusals() -> Iterator[list[str]]:
    """What the guard refused; forgotten afterwards, since here it was meant."""
    assert guard.active
    yield guard.refused
    guard.refused.clear()


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_a_foreign_address_is_refused_by_name(method: str, refusals: list[str]) -> None:
    with socket.socket() as sock, pytest.raises(NetworkRefused, match=r"connect to 192\.0\.2\.1 port 80"):
        getattr(sock, method)((OUTSIDE, 80))
    assert refusals == ["connect to 192.0.2.1 port 80"]


def test_ip_version_6_datagrams_and_names_are_refused(refusals: list[str]) -> None:
    with socket.socket(socket.AF_INET6) as sock, pytest.raises(NetworkRefused):
        sock.connect((OUTSIDE_6, 80))
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(NetworkRefused):
        sock.sendto(b"x", (OUTSIDE, 53))
    with pytest.raises(NetworkRefused, match=r"look up example\.com"):
        socket.create_connection(("example.com", 80))
    assert len(refusals) == 3


def test_a_subclass_and_asyncio_do_not_escape(refusals: list[str]) -> None:
    class Own(socket.socket):
        pass

    with Own() as sock, pytest.raises(NetworkRefused):
        sock.connect((OUTSIDE, 80))
    with pytest.raises(NetworkRefused):
        asyncio.run(asyncio.open_connection(OUTSIDE, 80))
    assert len(refusals) == 2


def test_loopback_and_unix_sockets_are_free(tmp_path: Path, refusals: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as sock:
        sock.connect(server.getsockname())
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as sock:
        server.bind(str(tmp_path / "s"))
        server.listen()
        sock.connect(str(tmp_path / "s"))
    assert refusals == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.255.0.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("100.100.100.200", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%lo", False),
        ("localhost", False),
    ],
)
def test_loopback_addresses(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_environment_is_hostile() -> None:
    for name in PROXY_VARIABLES:
        assert os.environ[name].startswith("http://127.0.0.1:")
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "*"
    assert os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] == FAKE_KEY_SECRET
    assert os.environ["TZ"] == "Asia/Kathmandu"
    assert Path.home() == Path(os.environ["HOME"])
    assert "RAMROLE_STATE" not in os.environ


def test_what_a_test_changes_is_undone_part_1() -> None:
    os.environ["RAMROLE_STATE"] = "changed"
    del os.environ["TZ"]
    os.chdir("/")


def test_what_a_test_changes_is_undone_part_2() -> None:
    assert "RAMROLE_STATE" not in os.environ
    assert os.environ["TZ"] == "Asia/Kathmandu"
    assert Path.cwd() != Path("/")


def test_a_persons_own_settings_are_dropped(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "ALIBABA_CLOUD_PROFILE": "mine",
        "ALIBABA_CLOUD_SECURITY_TOKEN": "mine",
        "OSS_ENDPOINT": "mine",
        "RAMROLE_STATE": "mine",
        "JUPYTER_CONFIG_DIR": "mine",
        "RAMROLE_ARTEFACTS": "kept",
        "HOME": "mine",
    }
    env = hostile_environment(given, home=tmp_path, proxy="http://127.0.0.1:1")
    assert "mine" not in env.values()
    assert env["PATH"] == "/bin"
    assert env["RAMROLE_ARTEFACTS"] == "kept"
