"""Running a program as if on an instance: by proxy variables, or in a network namespace with the literal addresses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, SandboxError, nearest
from .ca import ensure_java_truststore

__all__ = ["TLS_SUFFIX", "child_environment", "find_instance", "namespace_command", "run", "trust_variables"]

# An instance's TLS socket stands beside its plain one, under this name.
TLS_SUFFIX = ".tls"

_PROXY_NAMES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")
_REMOVED = ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY")
# What would win over the instance's role: keys, profiles, and switches of the SDKs.
_REMOVED_PREFIXES = ("ALIBABA_CLOUD_", "ALIBABACLOUD_", "ALICLOUD_", "ALIYUN_", "OSS_")


def find_instance(start_line: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    """Return an instance of the start line by id or name. Raises InputError naming the nearest."""
    rows: list[dict[str, Any]] = start_line["instances"]
    for row in rows:
        if wanted in (row["instance_id"], row.get("name")):
            return row
    names = [str(row[key]) for row in rows for key in ("instance_id", "name")]
    raise InputError(
        f"There is no instance {wanted!r} in the sandbox.{nearest(wanted, names)}",
        next_step="its instances: " + ", ".join(f"{row['name']} ({row['instance_id']})" for row in rows),
    )


def trust_variables(ca_file: str) -> dict[str, str]:
    """Return the variables that make programs trust the sandbox's CA for https.

    Most of them put it in the place of the system's authorities. That is right for a program which reaches nothing
    but the sandbox: it is the proxy for everything, and passes nothing on.
    """
    truststore = str(ensure_java_truststore(Path(ca_file)))
    java = f"-Djavax.net.ssl.trustStore={truststore}"
    return {
        "SSL_CERT_FILE": ca_file,  # OpenSSL, Go, .NET, and so Python without requests
        "REQUESTS_CA_BUNDLE": ca_file,  # Python's requests
        "CURL_CA_BUNDLE": ca_file,
        "ALIBABA_CLOUD_CA_BUNDLE": ca_file,  # aliyun-python-sdk-core, which has a requests of its own
        "NODE_EXTRA_CA_CERTS": ca_file,  # this one adds to Node's own
        "JAVA_TOOL_OPTIONS": f'"{java}"' if " " in java else java,
    }


def child_environment(proxy_url: str, environment: Mapping[str, str], *, ca_file: str = "") -> dict[str, str]:
    """Return the environment for a program on an instance; `proxy_url` empty: without any proxy (in a namespace)."""
    kept = {
        name: value
        for name, value in environment.items()
        if name not in (*_PROXY_NAMES, *_REMOVED) and not name.startswith(_REMOVED_PREFIXES)
    }
    if proxy_url:
        kept |= dict.fromkeys(_PROXY_NAMES, proxy_url)
    return kept | (trust_variables(ca_file) if ca_file else {})


def namespace_command(socket_path: str, command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` where 100.100.100.200 and the names below aliyuncs.com are the sandbox.

    Raises SandboxError where the system has no `unshare`, or its kernel forbids user namespaces.
    """
    unshare = shutil.which("unshare")
    if unshare is None or not sys.platform.startswith("linux"):
        raise SandboxError(
            "A network namespace needs Linux and the program 'unshare'.",
            next_step="install util-linux, or leave --namespace out: the proxy variables do for most programs",
        )
    # A program that already is root needs no user namespace, and some kernels forbid them.
    for flags in (["--user", "--map-root-user", "--net"], ["--net"]):
        tried = subprocess.run([unshare, *flags, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            relay = [sys.executable, "-m", "ramrole_nb.sandbox.relay", socket_path, "--"]
            return [unshare, *flags, *relay, *command]
    raise SandboxError(
        "This kernel does not let us make a network namespace.",
        reason=tried.stderr.strip(),
        next_step="leave --namespace out, run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)",
    )


def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in the foreground and return its exit code (128 + n where signal n ended it)."""
    try:
        process = subprocess.Popen(list(command), env=dict(environment))
    except OSError as error:
        raise InputError(
            f"{command[0]!r} cannot be run: {error.strerror or error}.",
            next_step="check the spelling after --",
        ) from None
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue  # the terminal sends it to the program too, which decides
        return 128 - code if code < 0 else code
