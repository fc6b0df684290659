"""Inside a network namespace: serve the cloud's addresses and names from the instance's sockets, then run the program.

A namespace has its own loopback, so the sandbox's port is out of sight; a Unix socket is not. Run as
`python -m ramrole_nb.sandbox.relay SOCKET -- CMD …` below `unshare --net`. Standard library only: it starts
at once. What the program finds:

- 100.100.100.200:80, the metadata service;
- every name below aliyuncs.com, by a DNS responder on 127.0.0.1 that resolv.conf (seen by this program alone) names;
  they lead to one address on loopback whose ports 80 and 443 are the sandbox, which refuses what it does not serve.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from .run_on import TLS_SUFFIX

__all__ = ["dns_answer", "main"]

METADATA = "100.100.100.200"
# From the block for benchmarks (RFC 2544): nobody's, and not loopback, which some programs treat in their own way.
SERVICES = "198.18.0.1"
_DOMAIN = b"aliyuncs.com"

_SIOCSIFADDR, _SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFNETMASK = 0x8916, 0x8913, 0x8914, 0x891C
_IFF_UP = 0x1
_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000

# What the C library and Go ask for names: the responder, and nothing else that may sit on a Unix socket of the host's.
_FILES = {
    "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
    "protocols: files\nservices: files\nethers: files\nrpc: files\n",
}


def _flags(control: socket.socket, name: bytes) -> int:
    request = bytearray(struct.pack("16sH14s", name, 0, b""))
    fcntl.ioctl(control, _SIOCGIFFLAGS, request)
    return int(struct.unpack_from("H", request, 16)[0])


def _namespace_is_ours() -> bool:
    """Tell whether the namespace is fresh, so that its addresses can be nobody else's: nothing but `lo`, and that down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        names = [name for _, name in socket.if_nameindex()]
        return names == ["lo"] and not _flags(control, b"lo") & _IFF_UP


def take_addresses(*addresses: str) -> None:
    """Bring loopback up and give it addresses (no iproute2 needed)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:

        def up(name: bytes) -> None:
            flags = _flags(control, name)
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14s", name, flags | _IFF_UP, b""))

        up(b"lo")
        for number, address in enumerate(addresses):
            alias = f"lo:{number}".encode()
            for code, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.255")):
                where = struct.pack("16sHH4s8s", alias, socket.AF_INET, 0, socket.inet_aton(value), b"")
                fcntl.ioctl(control, code, where)
            up(alias)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(262_144):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _serve(client: socket.socket, socket_path: str) -> None:
    with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        try:
            server.connect(socket_path)
        except OSError:
            return  # the sandbox has stopped: the client sees a closed connection
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def relay(address: tuple[str, int], socket_path: str) -> None:
    """Listen on an address and serve it from a socket, in the background, until the process ends."""
    listener = socket.create_server(address, backlog=128)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError as error:
                if error.errno in (errno.ECONNABORTED, errno.EMFILE, errno.ENFILE):
                    continue
                return
            threading.Thread(target=_serve, args=(client, socket_path), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


# -- names ---------------------------------------------------------------------------------------------------


def dns_answer(question: bytes) -> bytes:
    """Answer a DNS query: names below aliyuncs.com have one IPv4 address, others do not exist. Empty: no answer."""
    if len(question) < 12:
        return b""
    number, flags, count = struct.unpack_from(">HHH", question)
    if flags & 0xF800 or count != 1:  # an answer, or not a standard query
        return b""
    labels, at = [], 12
    while at < len(question) and (length := question[at]):
        if length > 63:
            return b""
        labels.append(question[at + 1 : at + 1 + length].lower())
        at += 1 + length
    end = at + 5
    if end > len(question):
        return b""
    kind, _ = struct.unpack_from(">HH", question, at + 1)
    ours = b".".join(labels[-2:]) == _DOMAIN and len(labels) > 2
    found = ours and kind in (1, 255)
    # Authoritative, recursion available (as stub resolvers expect); code 3: no such name.
    answer = struct.pack(
        ">HHHHHH", number, 0x8480 | flags & 0x0100 | (0 if ours else 3), 1, 1 if found else 0, 0, 0
    )
    answer += question[12:end]
    if found:
        answer += struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(SERVICES)
    return answer


def _answer_names() -> None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 53))

    def answer() -> None:
        while True:
            with contextlib.suppress(OSError):
                question, sender = listener.recvfrom(4096)
                if told := dns_answer(question):
                    listener.sendto(told, sender)

    threading.Thread(target=answer, daemon=True).start()


def _call(libc: ctypes.CDLL, name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


def _lay_over(libc: ctypes.CDLL, path: str, text: str) -> None:
    """Put a text in a file's place. A file that is not there is not missed."""
    real = os.path.realpath(path)
    if not Path(real).exists():
        return
    number, name = tempfile.mkstemp(prefix="ramrole-")
    try:
        with os.fdopen(number, "w") as file:
            file.write(text)
        Path(name).chmod(0o644)
        _call(libc, "mount", os.fsencode(name), os.fsencode(real), None, ctypes.c_ulong(_MS_BIND), None)
    finally:
        Path(name).unlink()


def _lead_names_here() -> None:
    """Let this process and its children, and nobody else, find names at the responder. Before any thread is started."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        _call(libc, "unshare", _CLONE_NEWNS)
        # What is mounted here from now on is seen nowhere else.
        _call(libc, "mount", None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
        for path, text in _FILES.items():
            _lay_over(libc, path, text)
    except OSError as error:
        print(
            f"ramrole: the names of Alibaba Cloud cannot be served here ({error.strerror}: {error.filename}); "
            f"http://{METADATA} can.",
            file=sys.stderr,
        )


def main(arguments: list[str]) -> int:
    """Take the addresses, relay, run the program, and return its exit code."""
    socket_path, separator, *command = arguments
    if separator != "--" or not command:
        print("usage: relay SOCKET -- CMD …", file=sys.stderr)
        return 64
    if not _namespace_is_ours():
        print("ramrole: not in a network namespace of its own: refused", file=sys.stderr)
        return 1
    _lead_names_here()
    take_addresses(METADATA, SERVICES)
    relay((METADATA, 80), socket_path)
    relay((SERVICES, 80), socket_path)
    relay((SERVICES, 443), socket_path + TLS_SUFFIX)
    _answer_names()
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
