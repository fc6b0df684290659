"""Exercises of notebook 04: downloads with the role's credential."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import policy
from ..cloud.session import Cloud
from .exercise import Exercise
from .looking import GUIDED_INSTANCE, Look
from .n01_create_a_role import BUCKET, FOLDER, READER
from .starting import Setup

__all__ = ["EXERCISES"]

NOTES = "testfolder/notes.txt"
PICTURE, FILE = "testfolder/example.png", "example-copy.png"
BACKUP = "sandbox-backup"


def _principal(entry: dict[str, Any]) -> str:
    """Return who made a call, as the last part of an ARN: `user/admin`, `assumed-role/<role>/vm-ram-<instance>`."""
    return str(entry.get("principal", "")).rpartition(":")[2]


def _because(entry: dict[str, Any]) -> str:
    decisions = entry.get("decisions") or [{}]
    return str(decisions[-1].get("because") or entry.get("message") or entry.get("error") or "refused")


class DownloadedByTheRole(Exercise):
    title = "Downloaded by the role"
    task = (
        f"Be a program on web-2, and download {NOTES} of {BUCKET}, signed with web-2's role and no AccessKey."
    )
    hints = (
        "In the panel, choose web-2 as the instance: its role signs, not your own key.",
        f"Typed: cloud.buckets[{BUCKET!r}].using(cloud.instances['web-2']).download({NOTES!r})",
    )
    only_on = "web-2"

    def start(self, setup: Setup) -> None:
        setup.role(READER, policy.read_objects(BUCKET, FOLDER))
        setup.grant(READER, policy.read_objects(BUCKET, FOLDER))
        setup.attach(READER, "web-2")

    def look(self, see: Look) -> str:
        vm = see.vm("web-2")
        by_role, by_key, elsewhere, heads = [], [], [], []
        for entry in see.journal("Oss", "GetObject", "HeadObject"):
            if entry.get("bucket") != BUCKET or str(entry.get("key", "")).lower() != NOTES:
                continue
            who = _principal(entry)
            if entry["operation"] == "HeadObject":
                heads += [entry] if who.endswith(vm.instance_id) else []
            elif who.startswith("assumed-role/") and who.endswith(vm.instance_id):
                by_role.append(entry)
            elif who.startswith("user/"):
                by_key.append(entry)
            elif who.startswith("assumed-role/"):
                elsewhere.append(entry)
        for entry in reversed(by_role):
            if entry.get("status") == 200 and entry.get("key") == NOTES:
                return f"At {entry['time'][11:19]} UTC {_principal(entry)} downloaded {NOTES}."
        if by_role:
            last = by_role[-1]
            raise see.not_yet(
                f"web-2's role asked for {last.get('key')}, and got HTTP {last.get('status')}: {_because(last)}",
                "a download that is allowed",
                next_step="403: the role's policies; 404: the key, letter by letter",
            )
        if by_key:
            raise see.not_yet(
                f"{NOTES} was downloaded with the AccessKey of {_principal(by_key[-1])}, not with web-2's role.",
                "a request signed with the role's temporary credential",
                next_step="choose web-2 in the panel (typed: bucket.using(cloud.instances['web-2']))",
            )
        if elsewhere:
            raise see.not_yet(
                f"It was downloaded by {_principal(elsewhere[-1])}, which is not web-2.",
                "a download by web-2's role",
            )
        if heads:
            raise see.not_yet(
                f"web-2's role looked at the metadata of {NOTES}, but did not download it.",
                "a GET of the object",
            )
        raise see.not_attempted(f"Nobody has downloaded {NOTES} yet.")

    def solve(self, cloud: Cloud) -> None:
        vm = cloud.instances["web-2"]
        role = cloud.roles[vm.role_name] if vm.role_name else cloud.roles.create("photo-reader")
        role.grant(policy.read_objects("sandbox-photos", "testfolder/"))
        vm.attach(role)
        cloud.buckets["sandbox-photos"].using(vm).download("testfolder/notes.txt", overwrite=True)


class TheVeryBytes(Exercise):
    title = "The very bytes"
    task = (
        f"Save {PICTURE} of {BUCKET} as the file {FILE} in the folder this notebook runs in, byte for byte."
    )
    hints = (
        "The panel has a field for the file's name; typed, it is the second argument: download(key, to).",
        "A file made by hand, cut off or opened as text does not count: length and CRC64 must be the object's.",
        f"cloud.buckets[{BUCKET!r}].download({PICTURE!r}, {FILE!r}, overwrite=True)",
    )
    praise = f"{FILE} has the length and the CRC64 that OSS tells of the object."

    def look(self, see: Look) -> None:
        path = Path(FILE)
        if not path.exists():
            raise see.not_attempted(f"There is no file {FILE} in {Path.cwd()}.")
        if not path.is_file():
            raise see.not_yet(
                f"{FILE} is a folder.",
                f"a file named {FILE}",
                next_step=f"remove it, then download to {FILE!r}",
            )
        wanted = see.bucket(BUCKET).head(PICTURE)
        try:
            data = path.read_bytes() if path.stat().st_size == wanted.size else b""
        except OSError as error:
            raise see.cannot_tell(f"{FILE} cannot be read: {error.strerror}.") from None
        size = path.stat().st_size
        if size < wanted.size:
            raise see.not_yet(
                f"{FILE} has {size:,} bytes, and the object {wanted.size:,}: it was cut off, or is another file.",
                f"{wanted.size - size:,} more bytes",
            )
        if size > wanted.size:
            raise see.not_yet(
                f"{FILE} has {size:,} bytes, and the object only {wanted.size:,}.",
                "the object's bytes and nothing besides",
                next_step="was something added, or line ends changed? Download it anew",
            )
        if not wanted.crc64:
            raise see.cannot_tell("OSS tells no CRC64 of this object.")
        from fastcrc import crc64

        if str(crc64.xz(data)) != wanted.crc64:
            raise see.not_yet(
                f"{FILE} is as long as the object, but its bytes differ: the CRC64 is another one.",
                "the object's very bytes",
                next_step="download it anew, with Overwrite an existing file (typed: overwrite=True)",
            )

    def solve(self, cloud: Cloud) -> None:
        cloud.buckets["sandbox-photos"].download("testfolder/example.png", "example-copy.png", overwrite=True)


class FromAnotherRegion(Exercise):
    title = "From another region"
    task = (
        f"Be a program on an instance in cn-beijing (not {GUIDED_INSTANCE}), and download an object of {BACKUP}, which is "
        "in cn-hangzhou, with its instance's role."
    )
    hints = (
        "A role is the account's: regions do not bound it. Permissions do: which role may read sandbox-backup?",
        "The internal endpoint works only within its region; from elsewhere the public one of the bucket's region is used.",
        (
            "hardened-1 will do (typed: cloud.buckets['sandbox-backup'].using(cloud.instances['hardened-1'])): "
            "the endpoint is chosen by itself."
        ),
    )
    only_on = "hardened-1"

    def start(self, setup: Setup) -> None:
        setup.role("backup-reader")
        setup.attach("backup-reader", "hardened-1")

    def look(self, see: Look) -> str:
        regions = {vm.instance_id: (vm.name, vm.region_id) for vm in see.vms() if vm.name != GUIDED_INSTANCE}
        refused, by_key, near = [], [], []
        for entry in see.journal("Oss", "GetObject"):
            if entry.get("bucket") != BACKUP:
                continue
            who = _principal(entry)
            name, region = regions.get(who.rpartition("vm-ram-")[2], ("", ""))
            if who.startswith("user/"):
                by_key.append(entry)
            elif region == "cn-beijing" and entry.get("status") in (200, 206):
                return f"{name}, in cn-beijing, downloaded {entry.get('key')} from cn-hangzhou as {who}."
            elif region == "cn-beijing":
                refused.append(entry)
            elif region:
                near.append((name, region))
        if refused:
            last = refused[-1]
            raise see.not_yet(
                f"{_principal(last)} asked for {last.get('key')}, and got HTTP {last.get('status')}: {_because(last)}",
                f"a role that may read {BACKUP}",
                next_step=f"grant it: Grant document (typed: cloud.roles[name].grant(rr.policy.read_objects({BACKUP!r})))",
            )
        if near:
            raise see.not_yet(
                f"{near[-1][0]} is in {near[-1][1]} itself: that was no other region.",
                "a download by an instance in cn-beijing",
            )
        if by_key:
            raise see.not_yet(
                f"{by_key[-1].get('key')} was downloaded with the AccessKey of {_principal(by_key[-1])}.",
                "a download signed with the role of an instance in cn-beijing",
            )
        raise see.not_attempted(f"No program has downloaded anything of {BACKUP} yet.")

    def solve(self, cloud: Cloud) -> None:
        vm = cloud.instances["hardened-1"]
        role = cloud.roles[vm.role_name] if vm.role_name else cloud.roles.create("backup-reader")
        role.grant(policy.read_objects("sandbox-backup"))
        vm.attach(role)
        cloud.buckets["sandbox-backup"].using(vm).download("readme.txt", overwrite=True)


EXERCISES = (DownloadedByTheRole, TheVeryBytes, FromAnotherRegion)
