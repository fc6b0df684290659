"""The looks of a diagnosis, in their order: from the outside in."""

from __future__ import annotations

from .looking import Step, always
from .probes_instance import (
    look_at_identity,
    look_at_instance,
    look_at_machine,
    look_at_metadata,
    look_at_role,
    look_at_session,
    no_identity,
    no_instance,
    no_metadata,
    no_role,
)
from .probes_object import look_at_bucket, look_at_object, look_at_policies, no_bucket, no_object, no_refusal

__all__ = ["PROBES"]

PROBES: tuple[Step, ...] = (
    Step("this machine and its tools", 3.0, always, look_at_machine),
    Step("this session's key", 3.0, always, look_at_session),
    Step("the instance, as ECS tells it", 3.5, no_instance, look_at_instance),
    Step("its metadata service", 4.0, no_metadata, look_at_metadata),
    Step("the role, in RAM", 3.0, no_role, look_at_role),
    Step("who the credential is", 3.0, no_identity, look_at_identity),
    Step("the bucket", 3.0, no_bucket, look_at_bucket),
    Step("the object", 4.5, no_object, look_at_object),
    Step("the policies behind the refusal", 4.0, no_refusal, look_at_policies),
)
