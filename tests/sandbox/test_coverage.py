"""The list of behaviours names every operation that exists, and none that does not."""

from __future__ import annotations

import pytest

from ramrole_nb.sandbox.coverage import BEHAVIOURS, IMDS_PATHS, render_markdown
from ramrole_nb.sandbox.openapi import operations
from ramrole_nb.sandbox.services import ecs, ram, sts
from ramrole_nb.sandbox.services.oss.registry import oss_operations
from tests.sandbox.drive import Drive
from tests.support.files import ROOT

_REGISTER = (ecs, ram, sts)


def test_every_operation_is_listed_and_no_other() -> None:
    registered = {(o.product, o.name) for o in operations()}
    registered |= {("Oss", o.name) for o in oss_operations()}
    registered |= {("IMDS", path) for path in IMDS_PATHS}
    listed = {(b.service, b.operation) for b in BEHAVIOURS if b.operation != "*"}
    assert listed == registered


def test_every_row_says_what_it_rests_on() -> None:
    for row in BEHAVIOURS:
        assert row.basis in ("documentation", "client", "ours")
        assert row.behaviour
        assert row.source, row
        if row.basis == "documentation":
            assert row.source.startswith("https://"), row
        if row.basis == "ours":
            assert not row.source.startswith("http"), row
    assert len(set(BEHAVIOURS)) == len(BEHAVIOURS)


def test_each_operation_has_a_source_or_says_that_it_has_none() -> None:
    for service, operation in {(b.service, b.operation) for b in BEHAVIOURS}:
        bases = {b.basis for b in BEHAVIOURS if (b.service, b.operation) == (service, operation)}
        assert bases & {"documentation", "client"}, (service, operation)


@pytest.mark.parametrize("path", IMDS_PATHS)
def test_listed_metadata_paths_answer(drive: Drive, path: str) -> None:
    drive.make_role()
    drive.attach()
    method, _, address = path.partition(" ")
    address = address.replace("ROLE", "EcsRamRole").replace("…", "instance-id")
    ttl = ["-H", "X-aliyun-ecs-metadata-token-ttl-seconds: 60"]
    assert drive.imds(address, "-X", method, *ttl).status == 200


def test_markdown() -> None:
    text = render_markdown()
    assert text.count("\n## ") == len({b.service for b in BEHAVIOURS})
    assert sum(line.startswith("| ") for line in text.splitlines()) == len(BEHAVIOURS) + text.count("\n## ")
    assert all(line.count("|") - line.count("\\|") == 5 for line in text.splitlines() if line.startswith("|"))


def test_the_page_is_the_list() -> None:
    """Made anew by: python -m ramrole_nb.sandbox.coverage > docs/coverage.md."""
    assert (ROOT / "docs" / "coverage.md").read_text("utf-8") == render_markdown()
