"""One body of tests for the sandbox and for a real account.

Every test here runs on the sandbox. Marked `live`, the same ones run against Alibaba Cloud, but only when they are asked
for by name and in full: RAMROLE_LIVE=1 and RAMROLE_PROFILE (a profile of the Alibaba Cloud CLI). Optional:
RAMROLE_LIVE_REGION, RAMROLE_LIVE_INSTANCE (an id; its role is put back), RAMROLE_LIVE_BUCKET (one with any object in it).
What is made there is called `ramrole-test-<8 hex>`, is tagged, and is removed also when a test fails.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import ramrole_nb as rr
from ramrole_nb.cloud.credentials import forget_every_role
from ramrole_nb.cloud.instances import BoundInstance
from ramrole_nb.cloud.session import Cloud
from ramrole_nb.sandbox import Sandbox

PREFIX = "ramrole-test-"


@dataclass
class Session:
    """A session, and names in it that are nobody else's."""

    cloud: Cloud
    instance: str = ""
    bucket: str = ""

    def name(self) -> str:
        return PREFIX + secrets.token_hex(4)

    def vm(self) -> BoundInstance:
        """The instance to try on, without a role."""
        if not self.instance:
            pytest.skip("name an instance that may be changed: RAMROLE_LIVE_INSTANCE")
        vm = self.cloud.instances[self.instance]
        if vm.role_name:
            pytest.skip(f"{self.instance} has the role {vm.role_name}: it is left alone")
        return vm


@pytest.fixture(params=["sandbox", pytest.param("live", marks=pytest.mark.live)])
def session(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    if request.param == "sandbox":
        world: Sandbox = request.getfixturevalue("world")
        (world.state / "ledger.jsonl").unlink(missing_ok=True)
        forget_every_role()
        cloud = rr.connect(world)
        cloud.context.tags = {"created-by": "ramrole_nb"}
        made = Session(cloud, "web-1", "sandbox-photos")
    else:
        # A ledger of this test's own: what the person has made with ramrole_nb is not touched.
        monkeypatch.setenv("RAMROLE_STATE", str(tmp_path))
        cloud = rr.connect(
            "live",
            profile=os.environ["RAMROLE_PROFILE"],
            region=os.environ.get("RAMROLE_LIVE_REGION"),
            changes="yes",
        )
        made = Session(
            cloud, os.environ.get("RAMROLE_LIVE_INSTANCE", ""), os.environ.get("RAMROLE_LIVE_BUCKET", "")
        )
    try:
        yield made
    finally:
        report = cloud.clean_up()
        forget_every_role()
    assert report.ok, f"left behind: {report!r}"
