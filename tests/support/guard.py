"""The socket guard: the test process connects to loopback only.

It is the second line. The first is the network namespace of `tests/run`, which also covers child processes; this
one works where namespaces are forbidden, and says at once which test wanted to go where. It listens to the
interpreter's audit events, so no class is patched and no subclass escapes.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

__all__ = ["NetworkRefused", "guard", "is_loopback"]


class NetworkRefused(RuntimeError):
    """A test wanted to leave this machine."""


def is_loopback(host: str) -> bool:
    """Tell whether a numeric address is a loopback one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class Guard:
    """What the audit hook does: refuse, and remember, since the code under test may swallow the refusal."""

    def __init__(self) -> None:
        self.active = False
        self.refused: list[str] = []

    def install(self) -> None:
        """Start listening. An audit hook cannot be taken off again; `active` switches it."""
        sys.addaudithook(self._on_event)
        self.active = True

    def _on_event(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active or not event.startswith("socket."):
            return
        if event in {"socket.connect", "socket.sendto"}:
            sock, address = args
            if sock.family in {socket.AF_INET, socket.AF_INET6} and isinstance(address, tuple):
                host = str(address[0])
                if host != "localhost" and not is_loopback(host):
                    self._refuse(f"{event.removeprefix('socket.')} to {host} port {address[1]}")
        elif event == "socket.getaddrinfo":
            host = args[0].decode(errors="replace") if isinstance(args[0], bytes) else args[0]
            if host and not _is_numeric(host) and host not in {"localhost", socket.gethostname()}:
                self._refuse(f"look up {host}")

    def _refuse(self, what: str) -> None:
        self.refused.append(what)
        raise NetworkRefused(
            f"a test tried to {what}: tests stay on loopback (127.0.0.0/8, ::1, Unix sockets). "
            "Point the client at the sandbox, or name the sandbox as its proxy."
        )


guard = Guard()
