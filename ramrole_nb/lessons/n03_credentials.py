"""Exercises of notebook 03: the metadata service, security hardening mode, and credentials that end."""

from __future__ import annotations

from typing import Any

from .. import policy
from ..cloud.session import Cloud
from ..errors import NoRoleAttached
from .exercise import Exercise
from .looking import GUIDED_INSTANCE, Look
from .n01_create_a_role import BUCKET, FOLDER, READER
from .starting import Setup

__all__ = ["EXERCISES", "WINDOWS_ROLE"]

WINDOWS_ROLE = "windows-reader"
HARDENED_MODE = "security hardening"


class HardenedOnly(Exercise):
    title = "Security hardening mode only"
    task = "Let web-2 serve metadata in security hardening mode only, so that a request without a token gets nothing."
    hints = (
        "The setting is the instance's, not the role's: HttpTokens=required of ecs:ModifyInstanceMetadataOptions.",
        "In the panel of instances: Security hardening mode only (typed: cloud.instances['web-2'].set_hardening()).",
    )
    praise = "web-2 answers a request without a token with 403; programs that ask in hardening mode notice nothing."

    def start(self, setup: Setup) -> None:
        setup.role(READER, policy.read_objects(BUCKET, FOLDER))
        setup.attach(READER, "web-2")

    def look(self, see: Look) -> None:
        vm = see.vm("web-2")
        if vm.http_endpoint != "enabled":
            raise see.not_yet(
                "web-2 serves no metadata at all: that shuts programs out too, and their credentials end.",
                "HttpEndpoint=enabled, and HttpTokens=required",
                next_step="switch the endpoint on again, and require tokens",
            )
        if vm.http_tokens != "required":
            hardened = [
                other.name
                for other in see.vms()
                if other.http_tokens == "required" and other.name not in ("hardened-1", GUIDED_INSTANCE)
            ]
            if hardened:
                raise see.not_yet(
                    f"{hardened[0]} was hardened, and web-2 still answers in normal mode too.",
                    "HttpTokens=required on web-2",
                    next_step="the setting counts for each instance alone",
                )
            raise see.not_attempted("web-2 answers in both modes, as it did at the start.")

    def solve(self, cloud: Cloud) -> None:
        cloud.instances["web-2"].set_metadata(True).set_hardening()


def _fetches(see: Look, instance_id: str) -> list[dict[str, Any]]:
    """Return the requests for the role's credential that programs on the instance made, oldest first."""
    return [e for e in see.journal("IMDS", "GetRoleCredentials") if e.get("instance_id") == instance_id]


class FetchedWithAToken(Exercise):
    title = "A program fetches a credential"
    task = (
        "Be a program on windows-1, and fetch the credential of its role in security hardening mode: a token by PUT, then "
        "the credential by GET with that token. Any program: this notebook, curl under `ramrole on windows-1`, an SDK."
    )
    hints = (
        "Choose windows-1, then Get credential does both requests (typed: cloud.instances['windows-1'].credentials()).",
        "Step by step: at = cloud.instances['windows-1'].metadata; token = at.token(); at.role_name(token); then its path.",
        "In a terminal, curl does it under `ramrole on windows-1 -- …`; at.steps[n].curl says how.",
    )
    only_on = "windows-1"

    def start(self, setup: Setup) -> None:
        setup.role(WINDOWS_ROLE, "AliyunOSSReadOnlyAccess")
        setup.attach(WINDOWS_ROLE, "windows-1")

    def look(self, see: Look) -> str:
        vm = see.vm("windows-1")
        fetches = _fetches(see, vm.instance_id)
        good = [e for e in fetches if e.get("status") == 200 and not e.get("error")]
        hardened = [e for e in good if e.get("mode") == HARDENED_MODE]
        if hardened:
            return (
                f"At {hardened[-1]['time'][11:19]} UTC a program on windows-1 got a credential, with a token."
            )
        if good:
            raise see.not_yet(
                "A program on windows-1 fetched the credential in normal mode, without a token.",
                "a fetch with the header X-aliyun-ecs-metadata-token",
                next_step="ask for a token first: PUT /latest/api/token",
            )
        if fetches:
            last = fetches[-1]
            why = str(last.get("message") or last.get("error") or f"HTTP {last.get('status')}")
            raise see.not_yet(
                f"A program on windows-1 asked for a credential, and was refused: {why}.",
                "an answer of 200",
                next_step="what the status means: 401 the token, 403 no token where one is required, 404 the role's name",
            )
        asked = [e for e in see.journal("IMDS") if e.get("instance_id") == vm.instance_id]
        if any(e.get("operation") == "PutToken" for e in asked):
            raise see.not_yet(
                "A program on windows-1 has a token, but did not ask for the credential.",
                "GET /latest/meta-data/ram/security-credentials/<role name> with the token",
            )
        if any(e.get("operation") == "ListRole" for e in asked):
            raise see.not_yet(
                "A program on windows-1 asked for the role's name, but not for its credential.",
                "GET /latest/meta-data/ram/security-credentials/<role name>",
                next_step="the same path with the name after the slash",
            )
        raise see.not_attempted("No program on windows-1 has asked for a credential.")

    def solve(self, cloud: Cloud) -> None:
        vm = cloud.instances["windows-1"]
        if not vm.role_name:
            vm.attach(cloud.roles.create("windows-reader"))
        vm.credentials(refresh=True)


class AfterItsEnd(Exercise):
    title = "After its end, a fresh one"
    task = "Fetch a credential on windows-1, and end it. Then fetch the fresh one there, in security hardening mode."
    hints = (
        "The metadata service serves the same credential until it is nearly over: fetching twice is not enough.",
        "In the sandbox Expire now ends every temporary credential at once (typed: cloud.sandbox.expire()).",
        (
            "A program keeps what it holds while that looks valid. Refresh fetches anew (typed: "
            "cloud.instances['windows-1'].credentials(refresh=True))."
        ),
    )
    only_on = "windows-1"
    try_there = "cloud.here.credentials(refresh=True)  # and again some hours later, when that one has ended"

    def start(self, setup: Setup) -> None:
        setup.role(WINDOWS_ROLE, "AliyunOSSReadOnlyAccess")
        setup.attach(WINDOWS_ROLE, "windows-1")

    def look(self, see: Look) -> str:
        vm = see.vm("windows-1")
        fetches = [e for e in _fetches(see, vm.instance_id) if e.get("issued_access_key_id")]
        if not fetches:
            raise see.not_attempted("No program on windows-1 has fetched a credential yet.")
        try:
            served = see.credential(vm).access_key_id
        except NoRoleAttached:
            raise see.not_yet(
                "windows-1 has no role now, so there is no fresh credential to fetch.",
                "a role on windows-1",
                next_step=f"Attach role (typed: cloud.instances['windows-1'].attach({WINDOWS_ROLE!r}))",
            ) from None
        last = fetches[-1]
        if last["issued_access_key_id"] != served:
            raise see.not_yet(
                "The credential that was fetched last is over: the metadata service serves another one by now.",
                "a fetch of the fresh credential",
                next_step="Refresh (typed: cloud.instances['windows-1'].credentials(refresh=True))",
            )
        different = list(dict.fromkeys(e["issued_access_key_id"] for e in fetches))
        if len(different) == 1:
            if len(fetches) > 1:
                raise see.not_yet(
                    f"A credential was fetched {len(fetches)} times, and each time it was the same one: it is still good.",
                    "a credential that has ended, or was replaced",
                    next_step="end it: Expire now (typed: cloud.sandbox.expire())",
                )
            raise see.not_attempted(
                "A program on windows-1 has fetched one credential, and that one is still good."
            )
        modes = {e.get("mode") for e in fetches if e["issued_access_key_id"] == served}
        if HARDENED_MODE not in modes:
            raise see.not_yet(
                "The fresh credential was fetched in normal mode, without a token.",
                "a fetch of it with the header X-aliyun-ecs-metadata-token",
            )
        return f"Programs on windows-1 got {len(different)} different credentials, one after the other's end."

    def solve(self, cloud: Cloud) -> None:
        vm = cloud.instances["windows-1"]
        if not vm.role_name:
            vm.attach(cloud.roles.create("windows-reader"))
        vm.credentials(refresh=True)
        cloud.sandbox.expire()  # live, a credential ends by itself, after hours
        vm.credentials(refresh=True)


EXERCISES = (HardenedOnly, FetchedWithAToken, AfterItsEnd)
