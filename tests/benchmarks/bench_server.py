"""How fast the sandbox answers, beside moto's server and nginx. It measures and asserts nothing.

    python tests/benchmarks/bench_server.py                  # all; moto: pip install 'moto[server]', nginx: apt
    python tests/benchmarks/bench_server.py --rounds 7 --mib 1024

Small requests: a signed GET of 1 KiB and GetRole here, S3 GetObject of 1 KiB and IAM GetRole there. Both are asked with
requests made beforehand, over plain sockets, so that the server is measured and no client. The sandbox verifies every
signature and evaluates policies; moto does neither. Large ones: one object from the sandbox and from nginx with sendfile,
to curl (-o /dev/null) and to a sink that discards in the kernel. Those who are compared take turns within each round;
medians over the rounds, and the median of the ratios paired by round.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.load import talk
from tests.load.served import Served
from tests.load.talk import Connection, Request

say = sys.stdout.write
ROLE, BUCKET, SMALL, LARGE = "Bench", "sandbox-photos", "bench/small", "bench/large"
TRUST = (
    '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":["ecs.aliyuncs.com"]}}]}'
)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(port: int, seconds: float = 20) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")


@contextlib.contextmanager
def program(command: Sequence[str], port: int) -> Iterator[None]:
    """Run a server until the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def rate(port: int, requests: Sequence[Request], connections: int) -> float:
    """Return requests per second: the requests, divided among so many connections."""
    encoded = [request.encode() for request in requests]
    barrier = threading.Barrier(connections + 1)
    wrong: list[int] = []

    def work(mine: Sequence[bytes]) -> None:
        with Connection(port) as connection:
            with contextlib.suppress(OSError):
                connection.open()
            barrier.wait()
            for data in mine:
                answer = connection.send_bytes(data)
                if answer.status != 200:
                    wrong.append(answer.status)
        barrier.wait()

    threads = [threading.Thread(target=work, args=(encoded[i::connections],)) for i in range(connections)]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - began
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(encoded)} answers were no 200: {wrong[:5]}")
    return len(encoded) / seconds


def moto_requests() -> dict[str, Request]:
    """Return what moto is asked; it takes the service and the account from the header and checks no signature."""

    def signed(service: str, host: str) -> tuple[tuple[str, str], ...]:
        scope = f"AKIAEXAMPLE/20260101/us-east-1/{service}/aws4_request"
        value = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
        return (("Host", host), ("Authorization", value))

    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    trust = '{"Version":"2012-10-17","Statement":[]}'
    iam = signed("iam", "iam.amazonaws.com")
    s3 = signed("s3", "127.0.0.1")
    create = f"Action=CreateRole&Version=2010-05-08&RoleName={ROLE}&AssumeRolePolicyDocument={trust}"
    get = f"Action=GetRole&Version=2010-05-08&RoleName={ROLE}"
    return {
        "bucket": Request("PUT", "/bench", s3),
        "put": Request("PUT", "/bench/small", s3, b"x" * 1024),
        "get": Request("GET", "/bench/small", s3),
        "create": Request("POST", "/", (*iam, *form), create.encode()),
        "role": Request("POST", "/", (*iam, *form), get.encode()),
    }


def small(served: Served, rounds: int) -> None:
    """Measure small requests beside moto's."""
    moto = shutil.which("moto_server") or shutil.which("moto_server", path=str(Path(sys.executable).parent))
    admin = talk.ops(served.line)
    with Connection(served.port) as connection:
        assert connection.send(talk.oss(admin, "PUT", BUCKET, SMALL, body=b"x" * 1024)).status == 200
        made = {"RoleName": ROLE, "AssumeRolePolicyDocument": TRUST}
        assert connection.send(talk.acs3_call(admin, "Ram", "CreateRole", made)).status == 200

    def gets(count: int) -> list[Request]:
        return [talk.oss(admin, "GET", BUCKET, SMALL)] * count

    def roles(count: int) -> list[Request]:  # each with a nonce of its own
        return [talk.acs3_call(admin, "Ram", "GetRole", {"RoleName": ROLE}) for _ in range(count)]

    port = free_port()
    with contextlib.ExitStack() as stack:
        theirs: dict[str, Request] = {}
        if moto:
            stack.enter_context(program([moto, "-H", "127.0.0.1", "-p", str(port)], port))
            theirs = moto_requests()
            with Connection(port) as connection:
                for name in ("bucket", "put", "create"):
                    answer = connection.send(theirs[name])
                    assert answer.status == 200, answer
        else:
            say("moto_server is not installed: the sandbox alone\n")
        for connections in (1, 16):
            found: dict[str, list[float]] = {}

            def note(name: str, value: float, found: dict[str, list[float]] = found) -> None:
                found.setdefault(name, []).append(value)

            for turn in range(rounds + 1):
                keep = note if turn else (lambda *_: None)  # the first round warms up
                keep("signed GET, 1 KiB", rate(served.port, gets(1500), connections))
                if theirs:
                    keep("moto GetObject, 1 KiB", rate(port, [theirs["get"]] * 160, connections))
                keep("GetRole", rate(served.port, roles(1000), connections))
                if theirs:
                    keep("moto GetRole", rate(port, [theirs["role"]] * 160, connections))
            say(f"\n{connections} connection{'s' * (connections > 1)}, {rounds} rounds: requests/s\n")
            table(
                found, {"signed GET, 1 KiB": "moto GetObject, 1 KiB", "GetRole": "moto GetRole"}, "x moto's"
            )


def table(found: dict[str, list[float]], against: dict[str, str], what: str) -> None:
    """Print medians, and the ratio to another row."""
    for name, values in found.items():
        line = f"  {name:<28}{statistics.median(values):>9,.0f}{min(values):>9,.0f}{max(values):>9,.0f}"
        other = found.get(against.get(name, ""))
        if other:
            ratio = statistics.median(a / b for a, b in zip(values, other, strict=True))
            line += f"   {ratio:.2f} {what}"
        say(line + "\n")


def sink(port: int, target: str, size: int) -> float:
    """Return MB/s of a GET whose body the kernel throws away."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        began = time.perf_counter()
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        assert b" 200 " in head.split(b"\r\n", 1)[0], head[:200]
        got = len(head.partition(b"\r\n\r\n")[2])
        nowhere = bytearray(1 << 20)
        flags = getattr(socket, "MSG_TRUNC", 0)
        while got < size and (more := sock.recv_into(nowhere, 0, flags)):
            got += more
        seconds = time.perf_counter() - began
    assert got == size, (got, size)
    return size / 1e6 / seconds


def curl(port: int, target: str, size: int) -> float:
    """Return MB/s of curl to nowhere."""
    began = time.perf_counter()
    command = ["curl", "-sSf", "--noproxy", "*", "-o", "/dev/null", f"http://127.0.0.1:{port}{target}"]
    subprocess.run(command, check=True, timeout=600)
    return size / 1e6 / (time.perf_counter() - began)


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """Serve a folder with nginx and sendfile; yield the port."""
    port = free_port()
    root = folder / "nginx"
    root.mkdir()
    temporary = "".join(
        f"{kind}_temp_path {root}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (root / "conf").write_text(
        f"daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error;"
        + ("user root;" if os.geteuid() == 0 else "")
        + f"events {{}} http {{ access_log off; sendfile on; tcp_nopush on; {temporary}"
        f"server {{ listen 127.0.0.1:{port}; root {folder}/files; }} }}"
    )
    with program(["nginx", "-p", str(root), "-c", str(root / "conf"), "-e", str(root / "error")], port):
        yield port


def large(served: Served, folder: Path, mib: int, rounds: int) -> None:
    """Measure one large object beside nginx's."""
    size = mib << 20
    files = folder / "files"
    files.mkdir()
    with (files / "large").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    admin = talk.ops(served.line)
    put = talk.oss(admin, "PUT", BUCKET, LARGE)
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=600)
    with (files / "large").open("rb") as file:
        headers = dict(put.headers) | {"Content-Length": str(size)}
        connection.request("PUT", put.target, body=file, headers=headers)
        assert connection.getresponse().status == 200
    connection.close()
    target = talk.oss_url(admin, BUCKET, LARGE, seconds=7200).target
    with contextlib.ExitStack() as stack:
        ways: dict[str, Callable[[], float]] = {}
        port = 0
        if shutil.which("nginx"):
            port = stack.enter_context(nginx(folder))
        else:
            say("nginx is not installed: the sandbox alone\n")
        for name, run in (("curl", curl), ("a sink", sink)):
            if name == "curl" and not shutil.which("curl"):
                continue
            ways[f"sandbox, to {name}"] = lambda run=run: run(served.port, target, size)  # type: ignore[misc]
            if port:
                ways[f"nginx, to {name}"] = lambda run=run: run(port, "/large", size)  # type: ignore[misc]
        found: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(rounds + 1):
            for name, way in ways.items():
                value = way()
                if turn:
                    found[name].append(value)
    say(f"\n{mib} MiB, {rounds} rounds: MB/s\n")
    table(
        found,
        {"sandbox, to curl": "nginx, to curl", "sandbox, to a sink": "nginx, to a sink"},
        "of nginx's",
    )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="1 to 20 (default 5)")
    parser.add_argument(
        "--mib", type=int, default=1024, help="the large object, 1 to 2048 MiB; 0: leave it out"
    )
    parser.add_argument("--folder", type=Path, help="where the files go (default: the temporary folder)")
    given = parser.parse_args()
    rounds = min(max(given.rounds, 1), 20)
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="rr-bench-") as name:
        folder = Path(name)
        with Served(folder / "state") as served:
            say("    median, lowest, highest\n")
            small(served, rounds)
            if given.mib > 0:
                large(served, folder, min(given.mib, 2048), rounds)


if __name__ == "__main__":
    main()
