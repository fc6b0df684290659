"""How fast one object comes down, beside the page's way and curl. It measures and asserts nothing.

    python tests/benchmarks/bench_download.py --mib 512 --rounds 5 --folder /dev/shm
    python tests/benchmarks/bench_download.py --url http://127.0.0.1:PORT/bucket/key --key-id … --key-secret …

Without `--url` it starts a small server of its own (one process, sendfile, no signature check) and stops it. The
methods take turns in each round, every download goes to a fresh file, and the medians over the rounds are printed;
compare the ratios, since absolute figures move with the machine.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import oss2
from fastcrc import crc64

from ramrole_nb.cloud.transfer import crc64_backend, download

say = sys.stdout.write


def serve(path: Path) -> None:
    """Serve one file to whatever GET arrives, and print the port first."""
    crc = 0
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            crc = crc64.xz(data, crc)
    size = path.stat().st_size
    head = (
        f'HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nETag: "BENCH"\r\nx-oss-request-id: {0:024X}\r\n'
        f"x-oss-hash-crc64ecma: {crc}\r\n\r\n"
    ).encode()

    def answer(sock: socket.socket) -> None:
        with sock, path.open("rb") as file:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked = b""
            while more := sock.recv(1 << 16):
                asked += more
                if b"\r\n\r\n" in asked:
                    asked = b""
                    sock.sendall(head)
                    sock.sendfile(file, 0)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        say(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=answer, args=(sock,), daemon=True).start()


@contextmanager
def own_server(folder: Path, mib: int) -> Iterator[str]:
    """Start this file's server on `mib` MiB of noise; yield the object's URL."""
    path = folder / "object"
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(path)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/bucket/object"
    finally:
        server.kill()
        server.communicate()


def methods(url: str, key_id: str, key_secret: str) -> dict[str, Callable[[Path], object]]:
    """Return what is compared: a name, and a function that downloads to a file."""
    parts = urlsplit(url)
    if not ipaddress.ip_address(parts.hostname or "").is_loopback:
        raise SystemExit("only loopback addresses are measured")
    base = f"{parts.scheme}://{parts.netloc}"
    name, _, key = unquote(parts.path).lstrip("/").partition("/")

    def bucket(*, crc: bool) -> oss2.Bucket:
        auth = oss2.Auth(key_id, key_secret)
        return oss2.Bucket(auth, base, name, enable_crc=crc, proxies={parts.scheme: base})

    checked, unchecked = bucket(crc=True), bucket(crc=False)
    found: dict[str, Callable[[Path], object]] = {
        "ramrole_nb": lambda to: download(checked, key, to),
        "the page's way (oss2, CRC on)": lambda to: checked.get_object_to_file(key, str(to)),
        "oss2 without CRC": lambda to: unchecked.get_object_to_file(key, str(to)),
    }
    if curl := shutil.which("curl"):
        signed = checked.sign_url("GET", key, 3600)
        found["curl"] = lambda to: subprocess.run(
            [curl, "-sSf", "--noproxy", "*", "-o", str(to), signed], check=True, timeout=600
        )
    return found


def cpu() -> float:
    """CPU seconds of this process and of the children it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def measure(url: str, folder: Path, rounds: int, key_id: str, key_secret: str) -> None:
    """Run the rounds and print the table."""
    compared = methods(url, key_id, key_secret)
    speeds: dict[str, list[float]] = {name: [] for name in compared}
    costs: dict[str, list[float]] = {name: [] for name in compared}
    size = 0
    for turn in range(rounds + 1):
        for name, run in compared.items():
            target = folder / "out"
            began, used = time.perf_counter(), cpu()
            run(target)
            seconds, used = time.perf_counter() - began, cpu() - used
            size = target.stat().st_size
            target.unlink()
            if turn:  # the first round warms up
                speeds[name].append(size / 1e6 / seconds)
                costs[name].append(used)
    say(f"{size / 2**20:.0f} MiB, {rounds} rounds, to {folder}; CRC64: {crc64_backend()}\n")
    say(f"{'method':32}{'MB/s':>8}{'lowest':>8}{'highest':>8}{'CPU s':>7}{'ratio':>7}\n")
    page = speeds["the page's way (oss2, CRC on)"]
    for name, values in speeds.items():
        ratio = statistics.median(a / b for a, b in zip(values, page, strict=True))  # paired by round
        say(
            f"{name:32}{statistics.median(values):8.0f}{min(values):8.0f}{max(values):8.0f}"
            f"{statistics.median(costs[name]):7.2f}{ratio:7.1f}\n"
        )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--mib", type=int, default=256, help="size of the object, 1 to 1024 MiB (default 256)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="1 to 20 (default 5)")
    parser.add_argument("--folder", type=Path, help="where the files go (default: the temporary folder)")
    parser.add_argument("--url", help="an object on a loopback server that runs already, path style")
    parser.add_argument("--key-id", default="SANDBOXak")
    parser.add_argument("--key-secret", default="SANDBOXsk")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="rr-bench-") as name:
        folder = Path(name)
        rounds = min(max(given.rounds, 1), 20)
        if given.url:
            measure(given.url, folder, rounds, given.key_id, given.key_secret)
        else:
            with own_server(folder, min(max(given.mib, 1), 1024)) as url:
                measure(url, folder, rounds, given.key_id, given.key_secret)


if __name__ == "__main__":
    main()
