"""Instances and their role, and what that role may then do: on the sandbox, and live where an instance is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ramrole_nb.errors import Conflict, NotFound, ServiceError

if TYPE_CHECKING:
    from tests.contract.conftest import Session


def test_an_instance_that_is_not_there(session: Session) -> None:
    role = session.cloud.roles.create(session.name())
    with pytest.raises(ServiceError) as caught:
        session.cloud.context.calls.ecs(
            "AttachInstanceRamRole", ram_role_name=role.name, instance_ids='["i-2zenosuchinstance00"]'
        )
    assert (type(caught.value), caught.value.code) == (NotFound, "InvalidInstanceId.NotFound")


def test_a_role_that_is_not_there(session: Session) -> None:
    vm = session.vm()
    with pytest.raises(ServiceError) as caught:
        session.cloud.context.calls.ecs(
            "AttachInstanceRamRole",
            vm.region_id,
            ram_role_name=session.name(),
            instance_ids=f'["{vm.instance_id}"]',
        )
    assert (type(caught.value), caught.value.code) == (NotFound, "InvalidRamRole.NotFound")


def test_attach_describe_replace_detach(session: Session) -> None:
    vm = session.vm()
    first, second = session.cloud.roles.create(session.name()), session.cloud.roles.create(session.name())
    vm.attach(first)
    assert vm.role_name == first.name
    with pytest.raises(Conflict):
        vm.attach(second)
    assert vm.role_name == first.name
    vm.replace_role(second)
    assert session.cloud.instances.roles([vm]) == {vm.instance_id: second.name}
    vm.detach()
    assert vm.role_name == ""


def test_the_buckets_of_the_account(session: Session) -> None:
    if not session.bucket:
        pytest.skip("name a bucket: RAMROLE_LIVE_BUCKET")
    bucket = session.cloud.buckets[session.bucket]
    assert bucket.info().name == session.bucket
    assert len(bucket.list(delimiter="", limit=1)) == 1
    with pytest.raises(NotFound):
        bucket.head(session.name())
