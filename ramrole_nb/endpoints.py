"""THE SEAM: where the services are. Live and sandbox differ in this value and in nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .errors import InputError

__all__ = ["IMDS_ADDRESS", "Endpoints"]

IMDS_ADDRESS = "http://100.100.100.200"


@dataclass(frozen=True)
class Endpoints:
    """Service addresses, scheme and proxy.

    `mode` is a label for people (`sandbox` or `live`); nothing decides by it. `proxy` (empty: none) is named
    explicitly in every SDK client, since the SDKs send requests to HTTP_PROXY otherwise and ignore NO_PROXY.
    `instance_proxies` maps an instance id to the proxy whose user says which instance is asking.
    `metadata_direct` allows asking 100.100.100.200 itself, which only works on the instance; without it no request
    ever goes there.
    Source: https://api.aliyun.com/product/Ecs (endpoints), https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints
    """

    mode: str
    scheme: str = "https"
    proxy: str = field(default="", repr=False)
    instance_proxies: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    ca_file: str = ""
    metadata_direct: bool = False

    @property
    def ram(self) -> str:
        """RAM's one endpoint."""
        return "ram.aliyuncs.com"

    def sts(self, region_id: str) -> str:
        """STS's endpoint for a region."""
        return f"sts.{region_id}.aliyuncs.com"

    def ecs(self, region_id: str) -> str:
        """ECS's endpoint for a region."""
        return f"ecs.{region_id}.aliyuncs.com"

    def oss(self, region_id: str, *, internal: bool = False) -> str:
        """OSS's endpoint for a region, with scheme. `internal`: the one that answers only inside that region."""
        suffix = "-internal" if internal else ""
        return f"{self.scheme}://oss-{region_id}{suffix}.aliyuncs.com"

    def metadata_proxy(self, instance_id: str) -> str:
        """The proxy that leads to an instance's metadata service; empty: ask 100.100.100.200 itself.

        Raises InputError where neither is possible.
        """
        proxy = self.instance_proxies.get(instance_id, "")
        if not proxy and not self.metadata_direct:
            raise InputError(
                f"The metadata service of {instance_id or 'this machine'} cannot be asked from here.",
                reason="it answers only on the instance itself",
                next_step=f"the instances that can be: {', '.join(self.instance_proxies) or 'none'}",
            )
        return proxy
