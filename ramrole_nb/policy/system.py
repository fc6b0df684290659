"""System policies of Alibaba Cloud: verbatim where the text is published, else stand-ins that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class SystemPolicy:
    """A policy of type System.

    ``verbatim`` tells whether ``document`` is the published text; ``source`` is its page, or for a stand-in
    the page that describes the policy. Dates are as the pages print them, UTC assumed; empty where no page
    gives them.
    """

    name: str
    description: str
    document: str
    version: str
    create_date: str
    update_date: str
    verbatim: bool
    source: str


_PAGES = "https://www.alibabacloud.com/help/en/ram/developer-reference/"
_ECS_PAGE = "https://www.alibabacloud.com/help/doc-detail/273911.htm"

_POLICIES = (
    SystemPolicy(
        name="AliyunOSSReadOnlyAccess",
        description="Provides read-only access to Object Storage Service (OSS).",
        document=(
            '{"Statement":[{"Action":["oss:Get*","oss:List*"],"Effect":"Allow","Resource":"*"}],"Version":"1"}'
        ),
        version="v1",
        create_date="2015-04-28T16:15:45Z",
        update_date="2017-08-17T08:57:31Z",
        verbatim=True,
        source="https://help.aliyun.com/zh/ram/developer-reference/aliyunossreadonlyaccess",
    ),
    SystemPolicy(
        name="AliyunSTSAssumeRoleAccess",
        description="Provides access to the API AssumeRole of Security Token Service (STS).",
        document='{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Resource":"*"}],"Version":"1"}',
        version="v1",
        create_date="2015-08-03T04:52:09Z",
        update_date="2017-04-27T16:48:07Z",
        verbatim=True,
        source=f"{_PAGES}aliyunstsassumeroleaccess",
    ),
    SystemPolicy(
        name="AliyunECSReadOnlyAccess",
        description="Provides read-only access to Elastic Compute Service (ECS).",
        document=(
            '{"Version":"1","Statement":[{"Action":"ecs:Describe*","Resource":"*","Effect":"Allow"},'
            '{"Action":"ecs:List*","Resource":"*","Effect":"Allow"},'
            '{"Action":["vpc:DescribeVpcs","vpc:DescribeVSwitches"],"Resource":"*","Effect":"Allow"}]}'
        ),
        version="v1",
        create_date="",
        update_date="",
        verbatim=True,
        source=_ECS_PAGE,
    ),
    SystemPolicy(
        name="AliyunECSFullAccess",
        description="Provides full access to Elastic Compute Service (ECS).",
        document=(
            '{"Version":"1","Statement":[{"Action":"ecs:*","Resource":"*","Effect":"Allow"},'
            '{"Action":["vpc:DescribeVpcs","vpc:DescribeVSwitches"],"Resource":"*","Effect":"Allow"}]}'
        ),
        version="v1",
        create_date="",
        update_date="",
        verbatim=True,
        source=_ECS_PAGE,
    ),
    SystemPolicy(
        name="AliyunRAMReadOnlyAccess",
        description="Provides read-only access to Resource Access Management (RAM).",
        document=(
            '{"Version":"1","Statement":[{"Action":["ram:Get*","ram:List*","ram:GenerateCredentialReport"],'
            '"Resource":"*","Effect":"Allow"},{"Effect":"Allow","Action":["accessanalyzer:Get*",'
            '"accessanalyzer:List*"],"Resource":"*"}]}'
        ),
        version="v3",
        create_date="2015-04-28T16:15:45Z",
        update_date="2025-12-03T10:03:48Z",
        verbatim=True,
        source=f"{_PAGES}aliyunramreadonlyaccess",
    ),
    SystemPolicy(
        name="AliyunOSSFullAccess",
        description="Provides full access to Object Storage Service (OSS). Stand-in: may hold less.",
        document='{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}',
        version="v1",
        create_date="",
        update_date="",
        verbatim=False,
        source="https://www.alibabacloud.com/help/en/oss/user-guide/how-oss-works-with-ram",
    ),
    SystemPolicy(
        name="AliyunRAMFullAccess",
        description="Provides full access to Resource Access Management (RAM). Stand-in: may hold less.",
        document='{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:*","Resource":"*"}]}',
        version="v1",
        create_date="",
        update_date="",
        verbatim=False,
        source="https://www.alibabacloud.com/help/en/ram/ram-authentication",
    ),
    SystemPolicy(
        name="AdministratorAccess",
        description="Provides full access to all resources. Stand-in.",
        document='{"Statement":[{"Action":"*","Effect":"Allow","Resource":"*"}],"Version":"1"}',
        version="v1",
        create_date="",
        update_date="",
        verbatim=False,
        source=(
            "https://www.alibabacloud.com/help/en/ram/user-guide/manage-information-about-all-resources-"
            "within-an-alibaba-cloud-account-except-billing-information"
        ),
    ),
)

#: Name -> policy. Exactly these are known here; the cloud has many more.
SYSTEM_POLICIES: Mapping[str, SystemPolicy] = MappingProxyType({policy.name: policy for policy in _POLICIES})
