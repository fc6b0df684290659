"""CONNECT and TLS with the sandbox's own CA, and the real names inside a network namespace."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import random
import shutil
import socket
import ssl
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from ramrole_nb.cloud.session import Cloud
from ramrole_nb.sandbox import Sandbox
from ramrole_nb.sandbox.ca import ensure_java_truststore, leaf_certificate
from ramrole_nb.sandbox.relay import SERVICES, dns_answer
from ramrole_nb.sandbox.run_on import child_environment

BUCKET_HOST = "sandbox-photos.oss-cn-beijing.aliyuncs.com"


def proxy_user(url: str) -> str:
    """Return a proxy address's Proxy-Authorization."""
    parts = urlsplit(url)
    return "Basic " + base64.b64encode(f"{parts.username}:{parts.password}".encode()).decode()


def port_of(sandbox: Sandbox) -> int:
    return int(urlsplit(sandbox.url).port or 0)


def trusting(sandbox: Sandbox) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=sandbox.start_line["ca_file"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@contextlib.contextmanager
def tunnel(
    sandbox: Sandbox, host: str = BUCKET_HOST, instance: str = "web-1", context: ssl.SSLContext | None = None
) -> Iterator[http.client.HTTPSConnection]:
    """Open an https connection through the sandbox as an instance's proxy, with the standard library's client."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port_of(sandbox), timeout=20, context=context or trusting(sandbox)
    )
    user = {"Proxy-Authorization": proxy_user(sandbox.proxy_url(instance))} if instance else {}
    connection.set_tunnel(host, 443, user)
    try:
        yield connection
    finally:
        connection.close()


def raw(sandbox: Sandbox, sent: bytes, *, pause: float = 0.0) -> bytes:
    """Send bytes to the port and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port_of(sandbox)), timeout=10) as connection:
        for piece in [sent[i : i + 1] for i in range(len(sent))] if pause else [sent]:
            connection.sendall(piece)
            time.sleep(pause)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65_536):
                answer += data
        return answer


def body_of(sandbox: Sandbox, count: int) -> bytes:
    """Lay a large object into the bucket, readable by everyone, and return it."""
    body = random.Random(count).randbytes(count)
    admin = sandbox.start_line["users"][0]
    import oss2

    auth = oss2.Auth(admin["access_key_id"], admin["access_key_secret"])
    bucket = oss2.Bucket(auth, sandbox.url, "sandbox-photos", proxies={"http": sandbox.url})
    bucket.put_object("large.bin", body)
    return body


# -- the tunnel ----------------------------------------------------------------------------------------------


def test_requests_in_the_tunnel_are_https_on_that_instance_and_keep_the_connection(world: Sandbox) -> None:
    before = world.journal()[-1]["seq"] if world.journal() else 0
    with tunnel(world) as connection:
        for _ in range(3):
            connection.request("GET", "/testfolder/notes.txt")
            sock = connection.sock
            answer = connection.getresponse()
            assert b"<Code>AccessDenied</Code>" in answer.read()
            assert connection.sock is sock, "the connection is kept"
        peer = connection.sock.getpeercert() or {}
    assert peer["subjectAltName"] == (("DNS", BUCKET_HOST),)
    entries = world.journal(before)
    vm = next(row for row in world.start_line["instances"] if row["name"] == "web-1")
    assert [e["url"] for e in entries] == [f"https://{BUCKET_HOST}/testfolder/notes.txt"] * 3
    assert {e["instance_id"] for e in entries} == {vm["instance_id"]}
    assert {e["source_ip"] for e in entries} == {"203.0.113.11"}


def test_without_a_proxy_user_the_tunnel_comes_from_outside(world: Sandbox) -> None:
    with tunnel(world, "ram.aliyuncs.com", instance="") as connection:
        connection.request("GET", "/?Action=ListRoles&Version=2015-05-01")
        answer = connection.getresponse()
        assert b"MissingAccessKeyId" in answer.read()
    assert world.journal()[-1]["instance_id"] == ""


def test_secure_transport_is_true_in_a_tunnel_and_false_outside(
    world: Sandbox, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    import oss2

    document = {
        "Version": "1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "oss:GetObject",
                "Resource": "*",
                "Condition": {"Bool": {"acs:SecureTransport": "true"}},
            }
        ],
    }
    role = cloud.roles.create("OnlyByHttps")
    role.grant(document)
    vm = cloud.instances["web-1"]
    vm.attach(role)
    held = vm.credentials()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", world.start_line["ca_file"])
    proxy = world.proxy_url("web-1")
    auth = oss2.StsAuth(held.access_key_id, held.access_key_secret, held.security_token)

    def bucket(scheme: str) -> oss2.Bucket:
        return oss2.Bucket(
            auth, f"{scheme}://oss-cn-beijing.aliyuncs.com", "sandbox-photos", proxies={scheme: proxy}
        )

    assert bucket("https").get_object("testfolder/notes.txt").read().startswith(b"A text file")
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket("http").get_object("testfolder/notes.txt")


@pytest.mark.parametrize("range_", ["", "bytes=0-1048575", "bytes=5000000-"])
def test_large_bodies_come_whole_over_tls(world: Sandbox, range_: str) -> None:
    body = body_of(world, 9_000_001)
    admin = world.start_line["users"][0]
    import oss2

    auth = oss2.Auth(admin["access_key_id"], admin["access_key_secret"])
    url = oss2.Bucket(auth, "https://oss-cn-beijing.aliyuncs.com", "sandbox-photos").sign_url(
        "GET", "large.bin", 600
    )
    with tunnel(world) as connection:
        for _ in range(2):
            parts = urlsplit(url)
            connection.request(
                "GET", f"{parts.path}?{parts.query}", headers={"Range": range_} if range_ else {}
            )
            answer = connection.getresponse()
            got = answer.read()
            start, _, end = range_.removeprefix("bytes=").partition("-")
            wanted = body[int(start or 0) : int(end) + 1 if end else None]
            assert answer.status == (206 if range_ else 200), got[:500]
            assert hashlib.sha256(got).digest() == hashlib.sha256(wanted).digest()


def test_large_bodies_go_up_over_tls(world: Sandbox) -> None:
    body = random.Random(1).randbytes(5_000_000)
    admin = world.start_line["users"][0]
    import oss2

    auth = oss2.Auth(admin["access_key_id"], admin["access_key_secret"])
    url = oss2.Bucket(auth, "https://oss-cn-beijing.aliyuncs.com", "sandbox-photos").sign_url(
        "PUT", "up.bin", 600
    )
    with tunnel(world) as connection:
        parts = urlsplit(url)
        connection.request("PUT", f"{parts.path}?{parts.query}", body)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
    stated = next(o for b in world.start_line["buckets"] for o in b["objects"] if o["key"] == "up.bin")
    assert stated["sha256"] == hashlib.sha256(body).hexdigest()


# -- what is refused -----------------------------------------------------------------------------------------


REFUSED = {
    "another host": ("example.com:443", "web-1", 403, "HostRefused"),
    "another port": (f"{BUCKET_HOST}:80", "web-1", 403, "HostRefused"),
    "a look-alike": ("ram.aliyuncs.com.example.com:443", "web-1", 403, "HostRefused"),
    "metadata": ("100.100.100.200:443", "web-1", 403, "HostRefused"),
    "the sandbox itself": ("127.0.0.1:443", "web-1", 403, "HostRefused"),
    "no port": ("ram.aliyuncs.com", "web-1", 400, "BadTarget"),
    "no target": ("", "web-1", 400, "BadTarget"),
    "an internal address elsewhere": (
        "sandbox-backup.oss-cn-hangzhou-internal.aliyuncs.com:443",
        "web-1",
        504,
        "InternalEndpointUnreachable",
    ),
    "a stopped instance": ("ram.aliyuncs.com:443", "stopped-1", 502, "InstanceStopped"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case: str, world: Sandbox) -> None:
    target, instance, status, code = REFUSED[case]
    user = proxy_user(world.proxy_url(instance))
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {user}\r\n\r\n"
    answer = raw(world, head.encode())
    assert answer.startswith(f"HTTP/1.1 {status} {code}\r\n".encode()), answer
    entry = world.journal()[-1]
    assert (entry["method"], entry["status"], entry["error"]) == ("CONNECT", status, code)
    assert user.encode() not in json.dumps(entry).encode()


@pytest.mark.parametrize(
    "user", ["Basic bm9ib2R5Ong=", "Basic ???", "Bearer x", "Basic aS0yemVzYW5kYm94d2ViMTp4"]
)
def test_a_wrong_proxy_user_is_asked_again(user: str, world: Sandbox) -> None:
    head = f"CONNECT ram.aliyuncs.com:443 HTTP/1.1\r\nProxy-Authorization: {user}\r\n\r\n"
    answer = raw(world, head.encode())
    assert answer.startswith(b"HTTP/1.1 407 ProxyUserRefused\r\n")
    assert b"Proxy-Authenticate: Basic" in answer


def test_a_web_page_may_not_connect(world: Sandbox) -> None:
    head = b"CONNECT ram.aliyuncs.com:443 HTTP/1.1\r\nOrigin: http://example.com\r\n\r\n"
    assert raw(world, head).startswith(b"HTTP/1.1 403 OriginRefused\r\n")


def test_heads_of_any_shape_are_answered_or_closed(world: Sandbox) -> None:
    assert raw(world, b"CONNECT x HTTP/1.1\r\nA: " + b"a" * 20_000).startswith(b"HTTP/1.1 431 ")
    early = b"CONNECT ram.aliyuncs.com:443 HTTP/1.1\r\n\r\n\x16\x03\x01"
    assert raw(world, early).startswith(b"HTTP/1.1 400 TooEarly")
    rng = random.Random(7)
    for _ in range(60):
        junk = b"CONNECT " + rng.randbytes(rng.randrange(200)) + b"\r\n\r\n"
        assert raw(world, junk)[:9] in (b"HTTP/1.1 ", b""), junk
    assert [e for e in world.journal() if e["status"] >= 500 and e["error"] != "InstanceStopped"] == []


def test_a_slow_client_is_waited_for(world: Sandbox) -> None:
    head = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
    assert raw(world, head, pause=0.002).startswith(b"HTTP/1.1 403 HostRefused")
    plain = b"GET /_sandbox/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    assert raw(world, plain, pause=0.002).startswith(b"HTTP/1.1 ")


def test_a_tunnel_serves_its_own_host_only(world: Sandbox) -> None:
    with tunnel(world, "ram.aliyuncs.com") as connection:
        for host, wanted in (
            (BUCKET_HOST, 421),
            ("100.100.100.200", 421),
            (f"127.0.0.1:{port_of(world)}", 421),
        ):
            connection.request("GET", "/_sandbox/status", headers={"Host": host})
            answer = connection.getresponse()
            assert (answer.status, b"ram.aliyuncs.com" in answer.read()) == (wanted, True)
        # A proxy user inside has no say any more.
        connection.request(
            "GET", "/", headers={"Proxy-Authorization": proxy_user(world.proxy_url("batch-1"))}
        )
        connection.getresponse().read()
    vm = next(row for row in world.start_line["instances"] if row["name"] == "web-1")
    assert world.journal()[-1]["instance_id"] == vm["instance_id"]


def test_the_instance_is_looked_at_anew_with_each_request(world: Sandbox) -> None:
    with tunnel(world) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read()
        world.reset()
        connection.request("GET", "/")
        assert connection.getresponse().status == 403


# -- certificates --------------------------------------------------------------------------------------------


def test_a_client_that_does_not_trust_the_ca_says_no_and_the_journal_says_why(world: Sandbox) -> None:
    for most in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context()
        context.maximum_version = most
        with tunnel(world, context=context) as connection, pytest.raises(ssl.SSLCertVerificationError):
            connection.request("GET", "/")
        deadline = time.monotonic() + 5
        while not (entries := world.journal()) or entries[-1].get("error") != "TlsHandshakeFailed":
            assert time.monotonic() < deadline, entries[-1:]
            time.sleep(0.02)
        assert "trust the sandbox's CA" in entries[-1]["message"]
        world.reset()


def test_certificates_are_for_one_name_and_leave_no_key_behind(world: Sandbox) -> None:
    context = trusting(world)
    context.check_hostname = True
    with tunnel(world, "sts.cn-beijing.aliyuncs.com", context=context) as connection:
        connection.connect()
        peer = connection.sock.getpeercert() or {}
    assert peer["subjectAltName"] == (("DNS", "sts.cn-beijing.aliyuncs.com"),)
    assert ssl.cert_time_to_seconds(str(peer["notAfter"])) < time.time() + 40 * 86_400
    left = {path.name for path in world.state.iterdir()}
    assert not [name for name in left if "leaf" in name]
    assert stat.S_IMODE((world.state / "ca-key.pem").stat().st_mode) == 0o600


def test_certificates_of_long_names(world: Sandbox) -> None:
    host = f"{'b' * 63}.oss-cn-beijing-internal.aliyuncs.com"
    pem, _ = leaf_certificate(world.state, host)
    leaf = x509.load_pem_x509_certificates(pem[pem.index(b"-----BEGIN CERT") :])[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [host]
    with tunnel(world, host) as connection:
        connection.request("GET", "/")
        assert b"NoSuchBucket" in connection.getresponse().read()


def test_a_java_trust_store(world: Sandbox) -> None:
    store = ensure_java_truststore(Path(world.start_line["ca_file"]))
    before = store.read_bytes()
    assert ensure_java_truststore(Path(world.start_line["ca_file"])).read_bytes() == before
    der = ssl.PEM_cert_to_DER_cert(Path(world.start_line["ca_file"]).read_text())
    assert before.startswith(struct.pack(">III", 0xFEEDFEED, 2, 1))
    assert before[-20 - len(der) : -20] == der
    if keytool := shutil.which("keytool"):
        command = [keytool, "-list", "-rfc", "-keystore", str(store), "-storepass", "changeit"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout
        assert "ramrole-sandbox" in done.stdout


# -- many, and the end ---------------------------------------------------------------------------------------


def test_many_tunnels_at_once(world: Sandbox) -> None:
    hosts = [f"{name}.oss-cn-beijing.aliyuncs.com" for name in ("sandbox-photos", "not-there", "nor-there")]

    def one(number: int) -> int:
        with tunnel(world, hosts[number % 3]) as connection:
            connection.request("GET", "/x")
            answer = connection.getresponse()
            answer.read()
            return answer.status

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(one, range(96)))
    assert sorted(set(statuses)) == [403, 404]


def test_it_stops_though_connections_are_open(tmp_path: Path) -> None:
    sandbox = Sandbox(state=tmp_path / "s").start()
    silent = socket.create_connection(("127.0.0.1", port_of(sandbox)))
    half = socket.create_connection(("127.0.0.1", port_of(sandbox)))
    half.sendall(b"CONNECT ram.aliyuncs.com:443 HTTP/1.1\r\n\r\n")
    half.recv(100)  # and never a TLS handshake
    with silent, half, tunnel(sandbox) as connection:
        connection.connect()
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 5
        assert silent.recv(1) == b""


# -- variables -----------------------------------------------------------------------------------------------


def test_children_are_told_the_ca(world: Sandbox) -> None:
    ca_file = world.start_line["ca_file"]
    given = {"PATH": "/bin", "SSL_CERT_FILE": "/etc/other.pem", "OSS_ACCESS_KEY_ID": "x", "no_proxy": "*"}
    found = child_environment("http://i:t@127.0.0.1:1", given, ca_file=ca_file)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        assert found[name] == ca_file
    assert found["JAVA_TOOL_OPTIONS"].endswith(".jks")
    assert found["https_proxy"] == found["HTTP_PROXY"] == "http://i:t@127.0.0.1:1"
    assert not {"OSS_ACCESS_KEY_ID", "no_proxy"} & set(found)


# -- names in the namespace ----------------------------------------------------------------------------------


def question(name: str, kind: int = 1, number: int = 4711) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def test_names_below_aliyuncs_com_are_answered() -> None:
    for name in ("ram.aliyuncs.com", "A.OSS-cn-beijing-internal.aliyuncs.COM"):
        answer = dns_answer(question(name))
        number, flags, asked, answered = struct.unpack_from(">HHHH", answer)
        assert (number, flags & 0x8000, flags & 0xF, asked, answered) == (4711, 0x8000, 0, 1, 1)
        assert answer.endswith(socket.inet_aton(SERVICES))
    none = dns_answer(question("ram.aliyuncs.com", kind=28))
    assert struct.unpack_from(">HHHH", none)[1] & 0xF == 0
    assert struct.unpack_from(">HHHH", none)[3] == 0, "no IPv6 address, but the name is there"
    for name in ("example.com", "aliyuncs.com.example.com", "xaliyuncs.com", "aliyuncs.com"):
        assert struct.unpack_from(">HHHH", dns_answer(question(name)))[1] & 0xF == 3


def test_no_question_upsets_the_responder() -> None:
    rng = random.Random(5)
    whole = question("ram.aliyuncs.com")
    for cut in range(len(whole)):
        assert dns_answer(whole[:cut]) == b""
    for _ in range(5_000):
        junk = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            junk[rng.randrange(len(junk))] = rng.randrange(256)
        dns_answer(bytes(junk))
        dns_answer(rng.randbytes(rng.randrange(80)))


PROGRAM = """
import json, socket, ssl, sys, urllib.request
def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return type(getattr(error, "reason", error)).__name__
urls = sys.argv[1:]
print(json.dumps({url: get(url) for url in urls}))
"""


@pytest.mark.namespace
def test_the_real_names_in_a_namespace(world: Sandbox) -> None:
    before = world.journal()[-1]["seq"] if world.journal() else 0
    wanted = {
        "http://100.100.100.200/latest/meta-data/instance-id": 200,
        "https://sandbox-photos.oss-cn-beijing.aliyuncs.com/testfolder/notes.txt": 403,
        "http://sandbox-photos.oss-cn-beijing-internal.aliyuncs.com/testfolder/notes.txt": 403,
        "https://sandbox-photos.oss-cn-beijing-internal.aliyuncs.com/testfolder/notes.txt": 403,
        "https://sandbox-backup.oss-cn-hangzhou-internal.aliyuncs.com/readme.txt": 504,
        "https://ram.aliyuncs.com/?Action=ListRoles&Version=2015-05-01": 400,
        "http://sts.cn-beijing.aliyuncs.com/?Action=GetCallerIdentity&Version=2015-04-01": 400,
        "https://ecs.cn-hangzhou.aliyuncs.com/?Action=DescribeRegions&Version=2014-05-26": 400,
        "https://other-service.aliyuncs.com/": 403,
        "https://example.com/": "gaierror",
        "http://example.com/": "gaierror",
    }
    ramrole = [
        sys.executable,
        "-m",
        "ramrole_nb",
        "--state",
        str(world.state),
        "on",
        "web-1",
        "--namespace",
        "--",
    ]
    done = subprocess.run(
        [*ramrole, sys.executable, "-c", PROGRAM, *wanted],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == wanted
    entries = world.journal(before)
    assert {e["instance_id"] for e in entries} == {"i-2zesandboxweb1"}
    assert Path("/etc/resolv.conf").read_text() != "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n"


@pytest.mark.namespace
def test_a_program_in_a_namespace_ends_with_its_own_code(world: Sandbox) -> None:
    ramrole = [
        sys.executable,
        "-m",
        "ramrole_nb",
        "--state",
        str(world.state),
        "on",
        "web-1",
        "--namespace",
        "--",
    ]
    for script, code in (("exit 7", 7), ("kill -TERM $$", 143)):
        done = subprocess.run([*ramrole, "sh", "-c", script], capture_output=True, timeout=60, check=False)
        assert done.returncode == code
    none = subprocess.run([*ramrole, "/not/there"], capture_output=True, text=True, timeout=60, check=False)
    assert none.returncode == 64
    assert "cannot be run" in none.stderr


def test_the_relay_refuses_a_namespace_that_is_not_fresh(world: Sandbox) -> None:
    command = [
        sys.executable,
        "-m",
        "ramrole_nb.sandbox.relay",
        world.sockets["i-2zesandboxweb1"],
        "--",
        "true",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "not in a network namespace of its own" in done.stderr
