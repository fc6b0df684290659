"""Run pytest in a closed network and a hostile environment, then search what it left for secrets.

1. A user and network namespace that holds nothing but loopback (`unshare -rn`; needs no root).
2. The environment of `hostile.py`. Its proxy is a listener here that must hear nothing.
3. pytest, its output shown and kept in the artefacts.
4. The leak search of `leaks.py`: whatever the run left on disk, for every secret that a sandbox issued in it (the
   sandbox appends each to $RAMROLE_SECRETS_FILE). Planted secrets must be found, or the search proves nothing.

Exit code: pytest's own; 1 if pytest passed but the proxy was asked, a secret leaked, or a check was void;
3 if the namespace is required (RAMROLE_REQUIRE_NETNS=1) and cannot be had.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from tests.support import leaks
from tests.support.hostile import FAKE_KEY_SECRET, hostile_environment

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "tests" / "run"

# With arguments other than these, a part of the suite runs, and a part may issue no secret.
_WHOLE = ("-v", "-q", "-x", "-s", "-r", "--durations", "--color", "--tb", "--maxfail", "--junitxml")

# The whole suite runs file by file on as many cores as there are, up to four: each worker has a sandbox of its own.
# In the order of collection, so that the browser's long files come first and no core waits for one at the end.
_SPREAD = ["-n", str(min(os.cpu_count() or 1, 4)), "--dist", "loadfile", "--no-loadscope-reorder"]

# A secret of our own for the plants: it has every character that one of the encodings changes.
_PLANT = "plantedEXAMPLE/secret+for/the+search==0123456789"


def say(text: str) -> None:
    """Tell the person."""
    print(text, flush=True)


# --- outside the namespace -------------------------------------------------------------------------------------


def main(argv: list[str]) -> int:
    """Make the run's folders, enter the namespace, clean up."""
    if argv[:1] == ["--inside"]:
        return inside(Path(argv[1]), argv[2:])
    if os.environ.get("RAMROLE_LIVE"):
        say("tests/run closes the network. Run the live tests with `make live`.")
        return 64
    given = os.environ.get("RAMROLE_ARTEFACTS")
    if given and Path(given).exists() and any(Path(given).iterdir()):
        say(
            f"RAMROLE_ARTEFACTS={given} is not empty: name a new folder, so that the leak search sees this run only."
        )
        return 64
    wrapper, problem = namespace_wrapper()
    if problem:
        say(_banner(f"NO NETWORK NAMESPACE: {problem}"))
        if os.environ.get("RAMROLE_REQUIRE_NETNS") == "1":
            say("RAMROLE_REQUIRE_NETNS=1, so this is an error.")
            return 3
        say("Going on with the socket guard alone. It does not cover child processes.")
    # A short path: Unix sockets below it may have 108 characters in all.
    run = Path(tempfile.mkdtemp(prefix="rr-"))
    env = {**os.environ, "RAMROLE_ARTEFACTS": str(Path(given).resolve() if given else run / "artefacts")}
    env["RAMROLE_NETNS"] = "0" if problem else "1"
    code = 1
    try:
        command = [*wrapper, sys.executable, str(SCRIPT), "--inside", str(run), *argv]
        code = subprocess.run(command, env=env, check=False).returncode
    except KeyboardInterrupt:
        code = 130
    finally:
        if code in {0, 5} or os.environ.get("CI"):
            shutil.rmtree(run, ignore_errors=True)
        else:
            say(
                f"What the run left is in {run}; it may hold the sandbox's keys. Remove it when you have looked."
            )
    if problem:
        say(_banner("this run had NO NETWORK NAMESPACE (see above)"))
    return code


def namespace_wrapper() -> tuple[list[str], str]:
    """Return the command that enters a new network namespace, or why there is none."""
    unshare = shutil.which("unshare")
    if not unshare:
        return [], "`unshare` is missing (package util-linux, Linux only)"
    # -r also works for root, and is what an ordinary user needs; -n alone helps a root who may make no user namespace.
    problem = ""
    for flags in ["-rn"], ["-n"]:
        tried = subprocess.run([unshare, *flags, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return [unshare, *flags, "--"], ""
        problem = problem or tried.stderr.strip()
    return [], f"the kernel or container forbids it ({problem})"


def _banner(text: str) -> str:
    line = "!" * min(len(text) + 4, 100)
    return f"{line}\n! {text}\n{line}"


# --- inside the namespace --------------------------------------------------------------------------------------


class Recorder:
    """A TCP listener in the place of the environment's proxy, which nobody may talk to."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(2)
                first = connection.recv(4096).split(b"\r\n", 1)[0].decode(errors="replace")
                self.heard.append(_masked(first) or "(a connection without a word)")

    def close(self) -> None:
        """Stop listening."""
        time.sleep(0.2)  # for a connection that is just being recorded
        self._listener.close()


def _masked(line: str) -> str:
    """Return a request line without its query and without a user in its address."""
    method, _, rest = line.partition(" ")
    target = rest.split(" ")[0].split("?")[0]
    scheme, separator, address = target.rpartition("://")
    return f"{method} {scheme}{separator}{address.rpartition('@')[2]}".strip()[:200]


def raise_loopback() -> None:
    """Bring up the new namespace's loopback device, as `ip link set lo up` does."""
    import fcntl  # only where there are namespaces

    get_flags, set_flags, up = 0x8913, 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(sock, get_flags, request)
        (flags,) = struct.unpack_from("H", request, 16)
        struct.pack_into("H", request, 16, flags | up)
        fcntl.ioctl(sock, set_flags, request)


def interfaces() -> list[str]:
    """Return the names of the network interfaces that are not loopback."""
    return [name for _, name in socket.if_nameindex() if name != "lo"]


def inside(run: Path, arguments: list[str]) -> int:
    """Run pytest and judge what it left."""
    if os.environ["RAMROLE_NETNS"] == "1":
        raise_loopback()
        # Some kernels give every namespace down tunnel devices; an address or a route they have not.
        if any(Path(f"/sys/class/net/{name}/operstate").read_text().strip() == "up" for name in interfaces()):
            say(f"The namespace is not empty: it has {', '.join(interfaces())}.")
            return 3
    artefacts, secrets_file = Path(os.environ["RAMROLE_ARTEFACTS"]), run / "secrets.txt"
    left = run / "left"
    home, temporary = left / "home", left / "tmp"
    for folder in (artefacts, home, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    secrets_file.touch(mode=0o600)

    recorder = Recorder()
    env = hostile_environment(os.environ, home=home, proxy=recorder.url)
    env |= {"RAMROLE_SECRETS_FILE": str(secrets_file), "TMPDIR": str(temporary), "RAMROLE_RUN": str(run)}
    whole = all(a.startswith(_WHOLE) for a in arguments)
    spread = _SPREAD if whole and "-s" not in arguments else []
    code = run_pytest([f"--basetemp={left / 't'}", *spread, *arguments], env, artefacts / "pytest.log")
    strays = end_strays(run)
    recorder.close()

    problems = [f"a process was left running: {command}" for command in strays]
    if recorder.heard:
        problems.append(
            f"the environment's proxy was asked {len(recorder.heard)} times; first: {recorder.heard[0]!r}. "
            "Each client must name its own proxy (the SDKs ignore NO_PROXY)."
        )
    say("")
    problems += judge_leaks([left, artefacts], artefacts, secrets_file, whole=whole)
    for problem in problems:
        say(f"FAILED {problem}")
    return code or (1 if problems else 0)


def run_pytest(arguments: list[str], env: Mapping[str, str], log: Path) -> int:
    """Run pytest, show its output as it comes, and keep it in `log`."""
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    command = [sys.executable, "-m", "pytest", *colour, *arguments]
    with (
        log.open("wb") as kept,
        subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        ) as pytest,
    ):
        assert pytest.stdout
        try:
            while chunk := pytest.stdout.read(65536):
                kept.write(chunk)
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
        except KeyboardInterrupt:
            pytest.wait(timeout=30)  # it got the same interrupt and prints its summary
            return 130
        return pytest.wait()


def end_strays(run: Path) -> list[str]:
    """End the processes that the tests left running (known by this run's variable); return their commands."""
    mark = f"RAMROLE_RUN={run}".encode()

    def strays() -> Iterator[tuple[int, str]]:
        for proc in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (proc / "environ").read_bytes().split(b"\0") and int(proc.name) != os.getpid():
                    command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if command:  # a zombie has none
                        yield int(proc.name), command.strip()[:160]

    deadline = time.monotonic() + 3  # those that are just ending
    while (found := list(strays())) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid, _ in found:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 3
    while (still := list(strays())) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid, _ in still:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    return [command for _, command in found]


# --- the leak search -------------------------------------------------------------------------------------------


def plant(folder: Path, secrets: list[str]) -> None:
    """Write files that the search must find, one for each form in which a secret travels."""
    folder.mkdir()
    for number, secret in enumerate(secrets):
        (folder / f"{number}-plain.ipynb").write_text(
            json.dumps({"outputs": [{"text": [f"token: {secret}\n"]}]})
        )
        (folder / f"{number}-base64.txt").write_text(base64.b64encode(f"user:{secret}".encode()).decode())
        (folder / f"{number}-url.txt").write_text(f"GET /?security-token={quote(secret, safe='')}")
        (folder / f"{number}-json.txt").write_text(json.dumps({"text": secret}).replace("/", "\\/"))


def judge_leaks(roots: list[Path], artefacts: Path, secrets_file: Path, *, whole: bool) -> list[str]:
    """Search what the run left, and return what is wrong."""
    issued = sorted(set(secrets_file.read_text().split("\n")) - {""})
    if whole and not issued:
        return ["the leak search is void: no sandbox told which secrets it issued (RAMROLE_SECRETS_FILE)"]
    # The longest one issued is a security token: the kind that leaks most.
    planted = [_PLANT, *sorted(issued, key=len)[-1:]]
    folder = artefacts / "planted"
    plant(folder, planted)
    start = time.monotonic()
    try:
        found = leaks.search(roots, [*issued, _PLANT, FAKE_KEY_SECRET])
    except leaks.SecretTooShort as error:
        return [f"the leak search is void: {error}"]
    finally:
        expected = {str(path) for path in folder.iterdir()}
        shutil.rmtree(folder)
    problems = [
        f"planted secret not found: {missing}" for missing in expected - {leak.path for leak in found}
    ]
    leaked = [leak for leak in found if leak.path not in expected]
    problems += [f"a secret leaked into {leak!r}" for leak in leaked[:20]]
    if len(leaked) > 20:
        problems.append(f"and {len(leaked) - 20} more leaks")
    if not problems:
        say(
            f"leak search: {len(issued)} issued secrets in no file of the run, {len(expected)} plants found "
            f"({time.monotonic() - start:.1f} s)"
        )
    return problems
