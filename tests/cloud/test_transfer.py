"""Download and upload against small servers that misbehave on purpose, over real sockets on loopback."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import os
import random
import select
import socket
import ssl
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import oss2
import pytest
from fastcrc import crc64
from hypothesis import given
from hypothesis import strategies as st

from ramrole_nb.cloud import transfer
from ramrole_nb.cloud.transfer import crc64_backend, download, file_name, upload
from ramrole_nb.errors import Cancelled, InputError, IntegrityError, ServerFault

BODY = random.Random(1).randbytes(300_000)
KEY = "folder/picture.bin"


# ---- the servers


@dataclass
class Call:
    """One request as the server got it, and the means to answer it badly."""

    n: int
    sock: socket.socket
    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    extra: bytes = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def head(self, status: int, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Reason", f"x-oss-request-id: {self.n:024X}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    def object(self, body: bytes = BODY, *, status: int = 200, etag: str = '"E1"', **headers: str) -> None:
        """Send the head of an answer with this body, and nothing of the body."""
        known = {
            "Content_Length": str(len(body)),
            "x_oss_hash_crc64ecma": str(crc64.xz(body)),
            "ETag": etag,
        } | headers
        self.head(status, **{name: value for name, value in known.items() if value})

    def whole(self, body: bytes = BODY, *, status: int = 200, etag: str = '"E1"', **headers: str) -> None:
        self.object(body, status=status, etag=etag, **headers)
        self.send(body)

    def rest(self) -> None:
        """Answer a request for `bytes=N-`."""
        start = int(self.headers["range"].removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        self.whole(BODY[start:], status=206, Content_Range=span, x_oss_hash_crc64ecma=str(crc64.xz(BODY)))

    def error(self, status: int, code: str) -> None:
        body = (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said {code}</Message></Error>".encode()
        )
        self.head(status, Content_Type="application/xml", Content_Length=str(len(body)))
        self.send(body)

    def read_body(self) -> bytes:
        left = int(self.headers["content-length"]) - len(self.extra)
        while left > 0 and (data := self.sock.recv(min(left, 1 << 16))):
            self.extra += data
            left -= len(data)
        self.body = self.extra
        return self.body

    def reset(self) -> None:
        """End the connection with a RST, as a firewall does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def gone(self, seconds: float = 5) -> bool:
        """Whether the client has closed its end."""
        readable, _, _ = select.select([self.sock], [], [], seconds)
        try:
            return bool(readable) and self.sock.recv(1) == b""
        except OSError:
            return True


Script = Callable[[Call], object]


@dataclass
class Server:
    """A server that answers each request by calling `script`; False from it ends the connection."""

    script: Script
    tls: ssl.SSLContext | None = None
    calls: list[Call] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        scheme = "https" if self.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        self._open.append(sock)
        with contextlib.suppress(OSError):
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while call := self._request(sock):
                if self.script(call) is False:
                    break
        sock.close()

    def _request(self, sock: socket.socket) -> Call | None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(1 << 16)
            if not more:
                return None
            data += more
        head, _, extra = data.partition(b"\r\n\r\n")
        line, *rows = head.decode().split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        with self._lock:
            call = Call(len(self.calls), sock, method, target, headers, extra=extra)
            self.calls.append(call)
        return call


Serve = Callable[..., tuple[Server, oss2.Bucket]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(script: Script, **options: Any) -> tuple[Server, oss2.Bucket]:
            server = stack.enter_context(Server(script, options.pop("tls", None)))
            session = oss2.Session()
            stack.callback(session.session.close)
            bucket = oss2.Bucket(
                oss2.Auth("SANDBOXak", "SANDBOXsk"),
                options.pop("endpoint", server.url),
                "bucket",
                session=session,
                proxies=options.pop("proxies", {"http": server.url}),
                **options,
            )
            return server, bucket

        yield start


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def settled(condition: Callable[[], object], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(condition())


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No thread, no socket, no part file, after each test."""
    threads, files = set(threading.enumerate()), open_files()
    yield  # the servers are set up after this and taken down before what follows
    assert set(threading.enumerate()) <= threads
    if open_files() > files:
        gc.collect()  # the SDK's errors sit in reference cycles, with the connection
    assert open_files() <= files
    folder = request.node.funcargs.get("tmp_path")
    if folder is not None:
        assert not list(folder.rglob(".*.part"))


# ---- the name of the file


@given(st.text(max_size=400))
def test_a_key_never_leaves_its_folder(key: str) -> None:
    try:
        name = file_name(key)
    except InputError:
        assert not key.rsplit("/", 1)[-1].strip(" .")
        return
    assert name
    assert name not in {".", ".."}
    assert not set(name) & set('/\\<>:"|?*\0')
    assert name.isprintable() or not any(ord(c) < 32 or ord(c) == 127 for c in name)
    assert name[-1] not in " ."
    assert len(name.encode()) <= 255
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("testfolder/example.png", "example.png"),
        ("a/b/../c.txt", "c.txt"),
        ("..\\..\\evil.exe", ".._.._evil.exe"),
        ("a/../..", None),
        ("a/", None),
        ("", None),
        ("a/ . ", None),
        ("con", "_con"),
        ("a/NUL.tar.gz", "_NUL.tar.gz"),
        ("console", "console"),
        ("12:30?.txt", "12_30_.txt"),
        ("line\nbreak\x7f.txt", "line_break_.txt"),
        ("invoice\u202egnp.exe", "invoice_gnp.exe"),
        ("dots...", "dots___"),
        (".bashrc", ".bashrc"),
        ("写真/日本.png", "日本.png"),
        ("x" * 300 + ".png", "x" * 251 + ".png"),
        ("é" * 200, "é" * 127),
    ],
)
def test_file_names(key: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(InputError, match="gives no file name"):
            file_name(key)
    else:
        assert file_name(key) == name


# ---- download: where it goes right


def test_a_download_is_whole_and_verified(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(lambda call: call.whole())

    got = download(bucket, KEY, tmp_path / "out.bin")

    assert got.path.read_bytes() == BODY
    assert (got.path, got.size, got.etag) == (tmp_path / "out.bin", len(BODY), "E1")
    assert (got.crc64, got.verified, got.resumed) == (str(crc64.xz(BODY)), "length and CRC64", 0)
    assert got.request_id == "0" * 24
    assert [p.name for p in tmp_path.iterdir()] == ["out.bin"]
    (call,) = server.calls
    assert call.headers["accept-encoding"] == "identity"
    assert call.headers["authorization"].startswith("OSS SANDBOXak:")


def test_the_callers_bucket_is_left_as_it_was(serve: Serve, tmp_path: Path) -> None:
    _, bucket = serve(lambda call: call.whole())

    download(bucket, KEY, tmp_path)

    assert (bucket.enable_crc, bucket.timeout) == (True, 60)


@pytest.mark.parametrize("chunk", [1, 1000, 8192, 1 << 20])
def test_any_buffer_size(serve: Serve, tmp_path: Path, chunk: int) -> None:
    body = BODY[: chunk * 50]
    _, bucket = serve(lambda call: call.whole(body))

    assert download(bucket, KEY, tmp_path / "f", chunk=chunk).path.read_bytes() == body


@pytest.mark.parametrize("to", [None, "", "inside"])
def test_the_name_comes_from_the_key(serve: Serve, tmp_path: Path, to: str | None) -> None:
    _, bucket = serve(lambda call: call.whole())
    (tmp_path / "inside").mkdir()
    os.chdir(tmp_path)
    if to == "":
        with pytest.raises(InputError, match="no file name"):
            download(bucket, KEY, to)
        return

    got = download(bucket, KEY, to)

    assert got.path == tmp_path / (to or "") / "picture.bin"
    assert got.path.is_absolute()


def test_an_empty_object(serve: Serve, tmp_path: Path) -> None:
    _, bucket = serve(lambda call: call.whole(b""))
    seen: list[tuple[int, int | None]] = []

    got = download(bucket, KEY, tmp_path, progress=lambda *now: seen.append(now))

    assert (got.path.read_bytes(), got.size, got.crc64) == (b"", 0, "0")
    assert seen == [(0, 0)]


def test_connections_are_used_again(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(lambda call: call.whole())

    for i in range(3):
        download(bucket, KEY, tmp_path / str(i))

    assert server.connections == 1


def test_a_virtual_host_address_through_the_server_as_its_own_proxy(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(lambda call: call.whole(), endpoint="http://oss-cn-beijing.aliyuncs.com")

    download(bucket, "a b.bin", tmp_path)

    assert server.calls[0].target == "http://bucket.oss-cn-beijing.aliyuncs.com/a%20b.bin"


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_the_file_gets_the_mode_the_umask_says(serve: Serve, tmp_path: Path) -> None:
    modes: list[int] = []

    def script(call: Call) -> None:
        modes.extend(stat.S_IMODE(p.stat().st_mode) for p in tmp_path.glob(".*.part"))
        call.whole()

    _, bucket = serve(script)
    before = os.umask(0o027)
    try:
        got = download(bucket, KEY, tmp_path, fsync=True)
    finally:
        os.umask(before)

    assert modes == [0o600]
    assert stat.S_IMODE(got.path.stat().st_mode) == 0o640


def test_an_object_stored_compressed_is_saved_as_stored(serve: Serve, tmp_path: Path) -> None:
    packed = gzip.compress(BODY)
    _, bucket = serve(lambda call: call.whole(packed, Content_Encoding="gzip"))

    assert download(bucket, KEY, tmp_path).path.read_bytes() == packed


def test_progress_ends_with_the_whole(serve: Serve, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []

    def script(call: Call) -> None:
        call.object()
        for at in range(0, len(BODY), 10_000):
            call.send(BODY[at : at + 10_000])
            time.sleep(0.02)

    _, bucket = serve(script)

    download(bucket, KEY, tmp_path, progress=lambda *now: seen.append(now))

    assert 3 <= len(seen) <= 20
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (len(BODY), len(BODY))


def test_no_crc_header_is_said(serve: Serve, tmp_path: Path) -> None:
    _, bucket = serve(lambda call: call.whole(x_oss_hash_crc64ecma=""))

    got = download(bucket, KEY, tmp_path)

    assert got.verified == "length only"
    assert got.crc64 == str(crc64.xz(BODY))


def chunked(call: Call, *, end: bool = True) -> bool:
    call.object(Content_Length="", Transfer_Encoding="chunked")
    for at in range(0, len(BODY), 40_000):
        piece = BODY[at : at + 40_000]
        call.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    if end:
        call.send(b"0\r\n\r\n")
    return end


def test_a_body_without_a_length(serve: Serve, tmp_path: Path) -> None:
    _, bucket = serve(chunked)
    seen: list[tuple[int, int | None]] = []

    got = download(bucket, KEY, tmp_path, progress=lambda *now: seen.append(now))

    assert got.path.read_bytes() == BODY
    assert got.verified == "CRC64 only"
    assert seen[-1] == (len(BODY), len(BODY))


def test_a_body_without_a_length_that_is_cut_off(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(lambda call: chunked(call, end=False))

    with pytest.raises(IntegrityError, match="an unknown number of bytes"):
        download(bucket, KEY, tmp_path)

    assert len(server.calls) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    import ipaddress

    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_over_tls_nothing_waits_in_the_decrypted_bytes(
    serve: Serve, tmp_path: Path, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def script(call: Call) -> None:
        call.object()
        for at in range(0, len(BODY), 15_000):  # one record each, more than one read takes below
            call.send(BODY[at : at + 15_000])

    _, bucket = serve(script, tls=context, proxies=None, connect_timeout=(2, 2))
    bucket.session.session.verify = str(certificate)
    bucket.session.session.trust_env = False  # the environment of the tests names a dead proxy

    began = time.monotonic()
    got = download(bucket, KEY, tmp_path, chunk=1000)

    assert got.path.read_bytes() == BODY
    assert time.monotonic() - began < 2


# ---- download: refused before anything is asked


def test_an_existing_file_is_refused_before_any_request(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(lambda call: call.whole())
    (tmp_path / "picture.bin").write_text("mine")

    with pytest.raises(InputError, match="exists already"):
        download(bucket, KEY, tmp_path)

    assert (tmp_path / "picture.bin").read_text() == "mine"
    assert server.calls == []


def test_overwrite_replaces(serve: Serve, tmp_path: Path) -> None:
    _, bucket = serve(lambda call: call.whole())
    (tmp_path / "picture.bin").write_text("old")

    assert download(bucket, KEY, tmp_path, overwrite=True).path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("key", "to", "words"),
    [
        (KEY, "none/out.bin", r"The folder .*none does not exist"),
        (KEY, "none/", r"The folder .*none does not exist"),
        (KEY, "file/out.bin", r"The folder .*file is not a folder"),
        (KEY, "x" * 256, "longer than 255 bytes"),
        (KEY, "a\0b", "no file name"),
        (KEY, "~nobody-of-that-name/x", "home directory"),
        ("folder/", None, "gives no file name"),
        ("", "out.bin", "key is empty"),
        ("a/taken", "inside", "is a folder"),
        (KEY, "dangling", "exists already"),
    ],
)
def test_bad_input_is_refused_before_any_request(
    serve: Serve, tmp_path: Path, key: str, to: str | None, words: str
) -> None:
    server, bucket = serve(lambda call: call.whole())
    (tmp_path / "file").write_text("")
    (tmp_path / "inside" / "taken").mkdir(parents=True)
    (tmp_path / "dangling").symlink_to("nowhere")
    os.chdir(tmp_path)

    with pytest.raises(InputError, match=words):
        download(bucket, key, to)

    assert server.calls == []
    with pytest.raises(InputError, match="buffer"):
        download(bucket, KEY, tmp_path / "out", chunk=0)


@pytest.mark.skipif(
    not Path("/proc/self").is_dir(), reason="needs a folder where nobody may write, root included"
)
def test_a_folder_one_may_not_write_to(serve: Serve) -> None:
    server, bucket = serve(lambda call: call.whole())

    with pytest.raises(InputError, match="No file can be made"):
        download(bucket, KEY, "/proc/self")

    assert server.calls == []


def test_an_object_larger_than_the_disk(serve: Serve, tmp_path: Path) -> None:
    _, bucket = serve(lambda call: call.object(Content_Length=str(10**17)) or call.gone())

    with pytest.raises(InputError, match="room for"):
        download(bucket, KEY, tmp_path)


# ---- download: where it goes wrong


@pytest.fixture
def existing(tmp_path: Path) -> Iterator[Path]:
    """A target with older content, which must be there after any failure, alone in its folder."""
    path = tmp_path / "picture.bin"
    path.write_text("older")
    yield path
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(403, "AccessDenied", oss2.exceptions.AccessDenied), (404, "NoSuchKey", oss2.exceptions.NoSuchKey)],
)
def test_a_refusal_is_the_sdks_error_and_touches_nothing(
    serve: Serve, existing: Path, status: int, code: str, kind: type[Exception]
) -> None:
    _, bucket = serve(lambda call: call.error(status, code))

    with pytest.raises(kind, match=code):
        download(bucket, KEY, existing, overwrite=True)


def test_a_body_that_is_always_short(serve: Serve, existing: Path) -> None:
    def script(call: Call) -> bool:
        if call.n == 0:
            call.object()
            call.send(BODY[:1000])
        else:
            assert call.headers["range"] == "bytes=1000-"
            call.object(BODY[1000:], status=206, Content_Range=f"bytes 1000-{len(BODY) - 1}/{len(BODY)}")
        return False

    server, bucket = serve(script)

    with pytest.raises(IntegrityError, match="only 1,000 of 300,000 bytes arrived") as caught:
        download(bucket, KEY, existing, overwrite=True)

    assert "3 attempts to resume failed" in str(caught.value)
    assert len(server.calls) == 4


def test_without_an_etag_nothing_is_resumed(serve: Serve, existing: Path) -> None:
    def script(call: Call) -> bool:
        call.object(etag="")
        call.send(BODY[:1000])
        return False

    server, bucket = serve(script)

    with pytest.raises(IntegrityError, match="only 1,000 of"):
        download(bucket, KEY, existing, overwrite=True)

    assert len(server.calls) == 1


def test_other_bytes_than_stored(serve: Serve, existing: Path) -> None:
    _, bucket = serve(lambda call: call.whole(x_oss_hash_crc64ecma="42"))

    with pytest.raises(IntegrityError) as caught:
        download(bucket, KEY, existing, overwrite=True)

    assert f"CRC64 here {crc64.xz(BODY)}, OSS says 42" in str(caught.value)


@pytest.mark.parametrize("cut", [0, 1, 70_000, len(BODY) - 1])
@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_lost_connection_is_taken_up_at_the_same_byte(
    serve: Serve, tmp_path: Path, cut: int, how: str
) -> None:
    def script(call: Call) -> bool | None:
        if call.n == 0:
            call.object()
            call.send(BODY[:cut])
            time.sleep(0.05)
            if how == "reset":
                call.reset()
            return False
        call.rest()
        return None

    server, bucket = serve(script)

    got = download(bucket, KEY, tmp_path)

    assert got.path.read_bytes() == BODY
    assert (got.resumed, got.verified) == (1, "length and CRC64")
    again = server.calls[1].headers
    assert (again["range"], again["if-match"], again["x-oss-range-behavior"]) == (
        f"bytes={cut}-",
        '"E1"',
        "standard",
    )


def test_three_losses_are_survived(serve: Serve, tmp_path: Path) -> None:
    def script(call: Call) -> bool:
        start = int(call.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        end = len(BODY) if call.n == 3 else start + 50_000
        span = {"Content_Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"} if start else {}
        call.object(
            BODY[start:], status=206 if start else 200, x_oss_hash_crc64ecma=str(crc64.xz(BODY)), **span
        )
        call.send(BODY[start:end])
        return False

    _, bucket = serve(script)

    got = download(bucket, KEY, tmp_path)

    assert (got.path.read_bytes(), got.resumed) == (BODY, 3)


def test_a_resume_that_gets_no_answer_is_tried_again(serve: Serve, tmp_path: Path) -> None:
    def script(call: Call) -> bool | None:
        if call.n == 0:
            call.object()
            call.send(BODY[:5])
        elif call.n == 2:
            call.rest()
            return None
        return False

    _, bucket = serve(script)

    assert download(bucket, KEY, tmp_path).resumed == 2


def test_a_server_that_ignores_ranges(serve: Serve, tmp_path: Path) -> None:
    def script(call: Call) -> bool | None:
        call.object()
        call.send(BODY if call.n == 2 else BODY[: 100 * (call.n + 1)])
        return None if call.n == 2 else False

    _, bucket = serve(script)

    got = download(bucket, KEY, tmp_path)

    assert (got.path.read_bytes(), got.resumed) == (BODY, 2)


def drop_then(answer: Script) -> Script:
    def script(call: Call) -> object:
        if call.n == 0:
            call.object()
            call.send(BODY[:1000])
            return False
        return answer(call)

    return script


@pytest.mark.parametrize("how", ["412", "200", "416"])
def test_an_object_that_changed_is_fetched_again_from_the_start(
    serve: Serve, tmp_path: Path, how: str
) -> None:
    new = BODY[::-1][:500]

    def answer(call: Call) -> None:
        if how != "200" and "range" in call.headers:
            call.error(int(how), "PreconditionFailed" if how == "412" else "InvalidRange")
        else:
            call.whole(new, etag='"E2"')

    _, bucket = serve(drop_then(answer))

    got = download(bucket, KEY, tmp_path)

    assert (got.path.read_bytes(), got.etag, got.size) == (new, "E2", 500)


def test_an_object_that_keeps_changing(serve: Serve, existing: Path) -> None:
    def answer(call: Call) -> bool:
        call.object(etag=f'"E{call.n + 1}"')
        call.send(BODY[:1000])
        return False

    _, bucket = serve(drop_then(answer))

    with pytest.raises(IntegrityError, match="changed on OSS, twice"):
        download(bucket, KEY, existing, overwrite=True)


@pytest.mark.parametrize(
    "span", ["bytes 900-299999/300000", "bytes 1000-299999/300001", "bytes 1000-1999/300000", ""]
)
def test_a_resume_that_answers_another_range(serve: Serve, existing: Path, span: str) -> None:
    def answer(call: Call) -> None:
        call.object(BODY[1000:], status=206, Content_Range=span)
        call.gone()

    _, bucket = serve(drop_then(answer))

    with pytest.raises(IntegrityError, match="another range"):
        download(bucket, KEY, existing, overwrite=True)


def test_a_refusal_at_the_resume_is_the_sdks_error(serve: Serve, existing: Path) -> None:
    _, bucket = serve(drop_then(lambda call: call.error(403, "SecurityTokenExpired")))

    with pytest.raises(oss2.exceptions.ServerError, match="SecurityTokenExpired"):
        download(bucket, KEY, existing, overwrite=True)


def test_a_connection_lost_before_any_answer_is_tried_once_more(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(lambda call: call.whole() if call.n == 1 else False)

    assert download(bucket, KEY, tmp_path).resumed == 0
    assert "range" not in server.calls[1].headers


def test_a_server_that_never_answers_is_asked_twice(serve: Serve, existing: Path) -> None:
    server, bucket = serve(lambda call: False)  # noqa: ARG005

    with pytest.raises(oss2.exceptions.RequestError):
        download(bucket, KEY, existing, overwrite=True)

    assert len(server.calls) == 2


def test_nobody_listens(serve: Serve, existing: Path) -> None:
    server, bucket = serve(lambda call: call.whole())
    server.__exit__()

    with pytest.raises(oss2.exceptions.RequestError):
        download(bucket, KEY, existing, overwrite=True)


def test_silence_in_the_middle_ends_with_the_read_timeout(serve: Serve, existing: Path) -> None:
    def script(call: Call) -> None:
        call.object()
        call.send(BODY[:1234])
        call.gone()

    _, bucket = serve(script, connect_timeout=(2, 0.3))
    began = time.monotonic()

    with pytest.raises(ServerFault, match=r"OSS sent nothing for 0\.3 s; 1,234 of 300,000 bytes") as caught:
        download(bucket, KEY, existing, overwrite=True)

    assert 0.3 <= time.monotonic() - began < 2
    assert caught.value.request_id == "0" * 24


def test_silence_where_the_length_is_not_known(serve: Serve, existing: Path) -> None:
    def script(call: Call) -> None:
        call.object(Content_Length="", Transfer_Encoding="chunked")
        call.send(b"5\r\nhello\r\n")
        call.gone()

    _, bucket = serve(script, connect_timeout=0.3)

    with pytest.raises(ServerFault, match=r"sent nothing for 0\.3 s; 5 bytes"):
        download(bucket, KEY, existing, overwrite=True)


def test_silence_instead_of_an_answer(serve: Serve, existing: Path) -> None:
    server, bucket = serve(lambda call: call.gone(), connect_timeout=(2, 0.3))

    with pytest.raises(oss2.exceptions.RequestError, match="timed out"):
        download(bucket, KEY, existing, overwrite=True)

    assert len(server.calls) == 1


def test_a_file_that_appears_meanwhile_is_not_overwritten(serve: Serve, tmp_path: Path) -> None:
    target = tmp_path / "picture.bin"

    def script(call: Call) -> None:
        target.write_text("somebody else's")
        call.whole()

    _, bucket = serve(script)

    with pytest.raises(InputError, match="exists already"):
        download(bucket, KEY, target)

    assert target.read_text() == "somebody else's"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("appears", [False, True])
def test_the_same_where_there_are_no_hard_links(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, appears: bool
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)  # as on FAT
    target = tmp_path / "picture.bin"

    def script(call: Call) -> None:
        if appears:
            target.write_text("somebody else's")
        call.whole()

    _, bucket = serve(script)

    if appears:
        with pytest.raises(InputError, match="exists already"):
            download(bucket, KEY, target)
        assert target.read_text() == "somebody else's"
    else:
        assert download(bucket, KEY, target).path.read_bytes() == BODY


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_whatever_stops_it_leaves_nothing(serve: Serve, existing: Path, error: type[BaseException]) -> None:
    closed: list[bool] = []

    def script(call: Call) -> bool:
        call.object()
        call.send(BODY[:1000])
        closed.append(call.gone())
        return False

    _, bucket = serve(script)

    def stop(*_: object) -> None:
        raise error

    with pytest.raises(error):
        download(bucket, KEY, existing, overwrite=True, progress=stop)
    assert settled(lambda: closed == [True])


# ---- download: cancelled


@pytest.mark.parametrize("flow", ["trickle", "silence"])
@pytest.mark.parametrize("form", ["event", "callable"])
def test_cancel_is_prompt_and_closes_the_connection(
    serve: Serve, existing: Path, flow: str, form: str
) -> None:
    stop = threading.Event()
    closed: list[bool] = []

    def script(call: Call) -> bool:
        call.object()
        call.send(BODY[:10])
        threading.Timer(0.2, stop.set).start()
        if flow == "trickle":
            with contextlib.suppress(OSError):
                for i in range(1000):
                    call.send(BODY[i : i + 1])
                    time.sleep(0.01)
                return False
        closed.append(call.gone())
        return False

    _, bucket = serve(script)
    began = time.monotonic()

    with pytest.raises(Cancelled, match=KEY):
        download(bucket, KEY, existing, overwrite=True, cancel=stop if form == "event" else stop.is_set)

    assert time.monotonic() - began < 1
    if flow == "silence":
        assert settled(lambda: closed == [True])


def test_cancelled_before_it_began(serve: Serve, existing: Path) -> None:
    server, bucket = serve(lambda call: call.whole())

    with pytest.raises(Cancelled):
        download(bucket, KEY, existing, overwrite=True, cancel=lambda: True)

    assert server.calls == []


def test_cancel_between_two_attempts(serve: Serve, existing: Path) -> None:
    stop = threading.Event()

    def script(call: Call) -> bool:
        call.object()
        call.send(BODY[:10])
        stop.set()
        return False

    server, bucket = serve(script)

    with pytest.raises(Cancelled):
        download(bucket, KEY, existing, overwrite=True, cancel=stop)

    assert len(server.calls) == 1


# ---- upload


def store(call: Call) -> None:
    body = call.read_body()
    call.head(
        200,
        Content_Length="0",
        ETag='"E9"',
        x_oss_hash_crc64ecma=str(crc64.xz(body)),
        Connection="keep-alive",
    )


class Pipe(io.RawIOBase):
    """A file that can be read and not sought."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 777))


@pytest.mark.parametrize("form", ["path", "str", "bytes", "bytearray", "memoryview", "file", "pipe"])
def test_each_kind_of_source(serve: Serve, tmp_path: Path, form: str) -> None:
    server, bucket = serve(store)
    path = tmp_path / "source.png"
    path.write_bytes(BODY)
    seen: list[tuple[int, int | None]] = []
    with path.open("rb") as file:
        sources: dict[str, Any] = {
            "path": path,
            "str": str(path),
            "bytes": BODY,
            "bytearray": bytearray(BODY),
            "memoryview": memoryview(BODY),
            "file": file,
            "pipe": Pipe(BODY),
        }
        got = upload(bucket, "k", sources[form], progress=lambda *now: seen.append(now))

    (call,) = server.calls
    assert call.body == BODY
    assert "transfer-encoding" not in call.headers
    assert "x-oss-forbid-overwrite" not in call.headers
    assert call.headers["content-type"] == (
        "image/png" if form in {"path", "str", "file"} else "application/octet-stream"
    )
    assert (got.key, got.size, got.crc64, got.etag) == ("k", len(BODY), str(crc64.xz(BODY)), "E9")
    assert (got.verified, got.request_id) == ("CRC64", "0" * 24)
    assert seen[-1] == (len(BODY), len(BODY))


def test_a_file_is_read_from_where_it_stands(serve: Serve) -> None:
    server, bucket = serve(store)
    file = io.BytesIO(b"0123456789")
    file.seek(4)

    upload(bucket, "k.txt", file)

    assert server.calls[0].body == b"456789"
    assert server.calls[0].headers["content-type"] == "text/plain"
    assert not file.closed


def test_an_empty_upload_has_a_length(serve: Serve) -> None:
    server, bucket = serve(store)

    assert upload(bucket, "k", b"").size == 0
    assert server.calls[0].headers["content-length"] == "0"
    assert "transfer-encoding" not in server.calls[0].headers


@pytest.mark.parametrize(
    ("key", "given_type", "sent"),
    [("a.tar.gz", None, "application/gzip"), ("a.html", None, "text/html"), ("a.html", "x/y", "x/y")],
)
def test_the_content_type(serve: Serve, key: str, given_type: str | None, sent: str) -> None:
    server, bucket = serve(store)

    upload(bucket, key, b"data", content_type=given_type)

    assert server.calls[0].headers["content-type"] == sent


def test_an_existing_object_is_refused_where_asked(serve: Serve) -> None:
    server, bucket = serve(lambda call: call.read_body() and call.error(409, "FileAlreadyExists"))

    with pytest.raises(oss2.exceptions.ServerError, match="FileAlreadyExists"):
        upload(bucket, "k", b"data", overwrite=False)

    assert server.calls[0].headers["x-oss-forbid-overwrite"] == "true"


def test_stored_otherwise_than_sent(serve: Serve) -> None:
    def script(call: Call) -> None:
        call.read_body()
        call.head(200, Content_Length="0", x_oss_hash_crc64ecma="42")

    _, bucket = serve(script)

    with pytest.raises(IntegrityError, match="oss://bucket/k is suspect"):
        upload(bucket, "k", b"data")


def test_an_upload_nobody_checked_says_so(serve: Serve) -> None:
    _, bucket = serve(lambda call: call.read_body() and call.head(200, Content_Length="0"))

    assert upload(bucket, "k", b"data").verified == "nothing"


def test_more_than_one_put_takes(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(store)
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(transfer.MAX_PUT + 1)

    with pytest.raises(InputError, match="5,368,709,121 bytes"):
        upload(bucket, "k", path)

    assert server.calls == []


def test_sources_that_are_none(serve: Serve, tmp_path: Path) -> None:
    server, bucket = serve(store)

    with pytest.raises(InputError, match="No such file"):
        upload(bucket, "k", tmp_path / "none")
    with pytest.raises(InputError, match="not a regular file"):
        upload(bucket, "k", tmp_path)
    with pytest.raises(InputError, match="open as text"):
        upload(bucket, "k", io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="A int cannot"):
        upload(bucket, "k", 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="key is empty"):
        upload(bucket, "", b"data")

    assert server.calls == []


def count_body(counts: list[int]) -> Script:
    """Record how many bytes of the request's body came before the connection ended."""

    def script(call: Call) -> bool:
        with contextlib.suppress(OSError):
            call.read_body()
        counts.append(len(call.extra))
        return False

    return script


def test_a_source_that_shrinks_stores_nothing(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(BODY)
    counts: list[int] = []
    _, bucket = serve(count_body(counts))

    with pytest.raises(IntegrityError, match="ended at 65,536 of 300,000"):
        upload(bucket, "k", path, progress=lambda *_: os.truncate(path, 65_536))

    assert settled(lambda: counts)
    assert counts[0] < len(BODY)


def test_cancelling_an_upload(serve: Serve) -> None:
    stop = threading.Event()
    counts: list[int] = []
    _, bucket = serve(count_body(counts))

    with pytest.raises(Cancelled):
        upload(bucket, "k", BODY, cancel=stop, progress=lambda *_: stop.set())

    assert settled(lambda: counts)
    assert counts[0] < len(BODY)


def test_a_slow_uplink_is_no_timeout(serve: Serve) -> None:
    def script(call: Call) -> None:
        call.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        left = int(call.headers["content-length"]) - len(call.extra)
        crc = crc64.xz(call.extra)
        while left > 0:
            data = call.sock.recv(min(left, 1 << 18))
            crc, left = crc64.xz(data, crc), left - len(data)
            time.sleep(0.01)
        call.head(200, Content_Length="0", x_oss_hash_crc64ecma=str(crc))

    _, bucket = serve(script, connect_timeout=(0.5, 5))
    began = time.monotonic()

    upload(bucket, "k", BODY * 40)

    assert time.monotonic() - began > 0.5  # longer than the timeout, which must not count the whole


def test_the_crc_is_compiled() -> None:
    assert crc64_backend().startswith("fastcrc ")
    assert crc64.xz(b"123456789") == 11051210869376104954
