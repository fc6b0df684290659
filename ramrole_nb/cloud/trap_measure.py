"""The program behind `trap.mixed_triples`: takes triples in three ways and asks the service about each.

It runs as `python -m ramrole_nb.cloud.trap_measure`, reads what it needs from its standard input, and writes counts,
nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..endpoints import Endpoints
from ..errors import BadSignature, RamroleError
from ..redact import redact
from .calls import Calls
from .credentials import InstanceCredentials, StaticCredentials
from .metadata import MetadataClient
from .sdk import load
from .wire import Wire

Triple = tuple[str, str, str]

# What a service says of a triple of two credentials; any other refusal is another trouble.
_MIXED = ("SignatureDoesNotMatch", "InvalidSecurityToken.MismatchWithAccessKey")


def main() -> None:
    """Measure as told, and write how it went."""
    told = json.loads(sys.stdin.readline())
    try:
        measure(told)
    except RamroleError as error:
        _write(error=f"{error.what} {error.reason}".strip(), step=error.next_step)
    except Exception as error:  # noqa: BLE001 - told to the one who waits
        _write(error=f"{type(error).__name__}: {redact(error)}")
    os._exit(0)  # the SDK's scheduler would go on


def measure(told: dict[str, Any]) -> None:
    """Take triples in turn, each way as often, until the time is over."""
    endpoints = Endpoints(mode=told["mode"], scheme=told["scheme"], proxy=told["proxy"])

    def sdk_client() -> Any:
        config = load("alibabacloud_credentials.models").Config(
            type="ecs_ram_role", role_name=told["role"], proxy=told["metadata"]
        )
        return load("alibabacloud_credentials.client").Client(config)

    client = sdk_client()
    provider = InstanceCredentials(
        lambda: MetadataClient(told["metadata"], instance_id=told["instance"]).credentials(told["role"])
    )

    def page() -> Triple:
        """As the wrapper class of the page's Python sample."""
        return client.get_access_key_id(), client.get_access_key_secret(), client.get_security_token()

    def tool() -> Triple:
        found = client.get_credential()
        return found.access_key_id, found.access_key_secret, found.security_token

    def ours() -> Triple:
        found = provider.get_credentials()
        return found.get_access_key_id(), found.get_access_key_secret(), found.get_security_token() or ""

    ways: dict[str, Callable[[], Triple]] = {"page": page, "tool": tool, "ours": ours}
    counts = {f"{way}_{what}": 0 for way in ways for what in ("mixed", "total")}

    def refused(triple: Triple) -> bool:
        calls = Calls(endpoints, told["region"], StaticCredentials(*triple), Wire(), "the trap")
        try:
            calls.sts("GetCallerIdentity")
        except BadSignature as error:
            if error.code in _MIXED:
                return True
            raise
        return False

    for take in ways.values():  # everything is imported, and asked once, before the time runs
        refused(take())
    _write(kind="ready")
    sys.stdin.readline()
    client = sdk_client()  # the first one holds a credential of six hours, and would not ask again
    # Ours would otherwise use the one it holds: it is made to fetch all the time, as a rotation would make it.
    threading.Thread(target=_refresh_always, args=(provider,), daemon=True).start()
    started = told_at = time.monotonic()
    while (now := time.monotonic()) - started < told["seconds"]:
        for way, take in ways.items():
            counts[f"{way}_mixed"] += refused(take())
            counts[f"{way}_total"] += 1
        if now - told_at > 0.1:
            told_at = now
            _write(kind="so far", seconds=now - started, **counts)
    _write(kind="end", **counts)


def _refresh_always(provider: InstanceCredentials) -> None:
    while True:
        provider.refresh()
        time.sleep(0.01)


def _write(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
