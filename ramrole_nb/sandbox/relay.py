"""Inside a network namespace: serve 100.100.100.200:80 from the instance's Unix socket, then run the program.

A namespace has its own loopback, so the sandbox's port is out of sight; a Unix socket is not. Run as
`python -m ramrole_nb.sandbox.relay SOCKET -- CMD …` below `unshare --net`. Standard library only: it starts at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import subprocess
import sys
import threading

__all__ = ["main"]

ADDRESS = ("100.100.100.200", 80)

_SIOCSIFADDR, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFNETMASK = 0x8916, 0x8913, 0x8914, 0x891C
_IFF_UP = 0x1


def _only_loopback_here() -> bool:
    """Tell whether this is a namespace of our making: nothing but loopback, so the address can be nobody else's."""
    return [name for _, name in socket.if_nameindex()] == ["lo"]


def take_address(address: str = ADDRESS[0]) -> None:
    """Bring loopback up and give it the metadata service's address (no iproute2 needed)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def up(name: bytes) -> None:
            request = bytearray(struct.pack("16sH14s", name, 0, b""))
            fcntl.ioctl(control, _SIOCGIFFLAGS, request)
            flags = struct.unpack_from("H", request, 16)[0]
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14s", name, flags | _IFF_UP, b""))

        up(b"lo")
        for code, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.255")):
            where = struct.pack("16sHH4s8s", b"lo:imds", socket.AF_INET, 0, socket.inet_aton(value), b"")
            fcntl.ioctl(control, code, where)
        up(b"lo:imds")


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _serve(client: socket.socket, socket_path: str) -> None:
    with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(socket_path)
        except OSError:
            return  # the sandbox has stopped: the client sees a closed connection
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def relay(socket_path: str) -> socket.socket:
    """Listen on the address and serve in the background; returns the listening socket."""
    listener = socket.create_server(ADDRESS, backlog=64)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_serve, args=(client, socket_path), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def main(arguments: list[str]) -> int:
    """Take the address, relay, run the program, and return its exit code."""
    socket_path, separator, *command = arguments
    if separator != "--" or not command:
        print("usage: relay SOCKET -- CMD …", file=sys.stderr)
        return 64
    if not _only_loopback_here():
        print("ramrole: not in a network namespace of its own: refused", file=sys.stderr)
        return 1
    take_address()
    with relay(socket_path):
        try:
            process = subprocess.Popen(command)
        except OSError as error:
            print(f"ramrole: {command[0]!r} cannot be run: {error.strerror or error}", file=sys.stderr)
            return 64
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                continue
            return 128 - code if code < 0 else code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
