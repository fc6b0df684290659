"""Every cause of trouble the doctor and the decoder know: one table, from the outside in.

The order is the order in which to look: this machine, the way to the metadata service, the role, the credential, the
clock, who signs, the endpoint, the object, the policies. An id never changes its meaning; others rely on it.
Where `cloud.explain` has the sentence for a service's code, it is read from there.

In `fix_call` and `fix_command` the words in braces stand for facts of the case; `Cause.call` and `Cause.command` fill
them in, quoted for their language, so that nothing read from a pasted text can become code.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..cloud.explain import reason_for
from ..errors import InputError, nearest

__all__ = ["CAUSES", "LAYERS", "Cause", "cause"]

# From the outside in; a cause belongs to one.
LAYERS = (
    "tools",  # Python, SDKs, the notebook
    "network",  # no way to the services
    "metadata",  # the metadata service of the instance
    "role",  # the role on the instance
    "credential",  # key, secret, security token
    "clock",
    "request",  # what is asked, of which service, how often
    "account",  # what exists in RAM and ECS
    "endpoint",  # region and address of the bucket
    "object",  # bucket and object
    "policy",  # who may
    "transfer",  # the bytes
)

_HELP = "https://www.alibabacloud.com/help/en"
_PAGE = f"{_HELP}/ecs/user-guide/attach-an-instance-ram-role-to-an-ecs-instance"
_IMDS = f"{_HELP}/ecs/user-guide/view-instance-metadata"
_HARDENED = f"{_HELP}/ecs/user-guide/access-instance-metadata-using-hardened-only-mode"
_GATEWAY = "https://help.aliyun.com/en/document_detail/434846.html"
_RAM_FAQ = "https://help.aliyun.com/en/ram/support/faq-about-ram-roles-and-sts-tokens"
_RAM_ERRORS = f"{_HELP}/ram/product-overview/limits"
_POLICY = f"{_HELP}/ram/policy-elements"
_EVALUATION = f"{_HELP}/ram/policy-evaluation-process"
_ENDPOINTS = "https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints"
_PASS_ROLE = f"{_HELP}/ecs/user-guide/authorize-a-ram-user-to-manage-an-instance-ram-role"
_INSTANCES = f"{_HELP}/ecs/developer-reference/api-ecs-2014-05-26-describeinstances"
_ATTACH = f"{_HELP}/ecs/developer-reference/api-ecs-2014-05-26-attachinstanceramrole"
_RUN = f"{_HELP}/ecs/developer-reference/api-ecs-2014-05-26-runcommand"
_OPTIONS = f"{_HELP}/ecs/developer-reference/api-ecs-2014-05-26-modifyinstancemetadataoptions"
_V4 = f"{_HELP}/oss/developer-reference/guidelines-for-upgrading-v1-signatures-to-v4-signatures"
_OSS_RAM = f"{_HELP}/oss/user-guide/how-oss-works-with-ram"
_DECODE = "https://help.aliyun.com/en/ram/developer-reference/api-ram-2015-05-01-decodediagnosticmessage"
_CREDENTIALS_PY = "https://github.com/aliyun/credentials-python"
_OSS_PY = "https://github.com/aliyun/aliyun-oss-python-sdk"
_CLI_ROLE = f"{_HELP}/cli/ecs-ram-role"

_TRUST = shlex.quote(
    '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":["ecs.aliyuncs.com"]}}]}'
)
_CURL_PUT = (
    'TOKEN=$(curl -sS -X PUT "http://100.100.100.200/latest/api/token"'
    ' -H "X-aliyun-ecs-metadata-token-ttl-seconds: 300")'
)
_CURL_ROLE = (
    f'{_CURL_PUT}; curl -sS -H "X-aliyun-ecs-metadata-token: $TOKEN"'
    ' "http://100.100.100.200/latest/meta-data/ram/security-credentials/"'
)
_CHECK_CONSOLE = "ECS console > Instances > the instance > Instance Details > RAM Role"
_ROLE_CONSOLE = "RAM console > Identities > Roles > the role > Permissions > Grant Permission"
_TRUST_CONSOLE = "RAM console > Identities > Roles > the role > Trust Policy > Edit Trust Policy"


@dataclass(frozen=True)
class Cause:
    """One cause. `meaning` is a sentence; the fixes are templates and empty where there is none; `link` is a page.

    `words` says what to do where no call, command or page of the console does it alone.
    """

    id: str
    layer: str
    meaning: str
    fix_call: str = ""
    fix_command: str = ""
    fix_console: str = ""
    link: str = ""
    words: str = ""

    def call(self, facts: Mapping[str, str] | None = None) -> str:
        """Return the next step as a Python call, with the facts as quoted Python strings."""
        return _filled(self.fix_call, facts or {}, repr)

    def command(self, facts: Mapping[str, str] | None = None) -> str:
        """Return the next step as a shell command, with the facts quoted for the shell."""
        return _filled(self.fix_command, facts or {}, shlex.quote)


_PLACE = re.compile(r"\{(role|instance|instances|bucket|key|endpoint|region|policy)\}")


def _filled(template: str, facts: Mapping[str, str], quoted: Callable[[str], str]) -> str:
    # What is not known stays a word in capitals, to be replaced by hand.
    facts = {**facts, "instances": json.dumps([facts.get("instance") or "INSTANCE"])}
    return _PLACE.sub(lambda found: quoted(facts.get(found[1]) or found[1].upper()), template)


def _same_as(code: str) -> str:
    """Return the sentence `cloud.explain` has for a service's code."""
    reason = reason_for(code)
    return f"{reason[:1].upper()}{reason[1:]}."


_LIST = [
    # -- tools: this machine -----------------------------------------------------------------------------------
    Cause(
        "package-missing", "tools",
        "A Python package that this needs is not installed in the environment that runs.",
        "", "python -m pip install ramrole_nb", "", _OSS_PY,
    ),
    Cause(
        "sandbox-not-running", "tools", "The local sandbox does not run, so nothing answers on its address.",
        "cloud = rr.connect()", "ramrole sandbox start", "", "",
    ),
    Cause(
        "scheduler-stopped", "tools",
        "The SDK's background refresh was stopped while the program ended; what it was asked for is not affected.",
        "vm.provider()", "", "", f"{_CREDENTIALS_PY}/issues/71",
    ),
    Cause(
        "not-main-thread", "tools",
        "The SDK sets a signal handler when a credential client is made, and Python allows that in the main thread only.",
        "vm.provider()", "python -m pip install --upgrade alibabacloud_credentials", "",
        f"{_CREDENTIALS_PY}/issues/63",
    ),
    Cause(
        "too-many-threads", "tools",
        "The process may start no more threads; each credential client of the SDK keeps one until the program ends.",
        "vm.provider()", "", "", _CREDENTIALS_PY,
    ),
    Cause(
        "async-role-name-empty", "tools",
        "The SDK's asynchronous path does not look the role up for role_name='': leave the option out (None).",
        "vm.credentials()", "", "", _CREDENTIALS_PY,
    ),
    Cause(
        "client-without-token", "tools",
        "This client asks the metadata service in normal mode only, without a token, so security hardening mode refuses it.",
        "cloud.buckets[{bucket}].using(vm)", "", "", _HARDENED,
    ),
    Cause(
        "client-too-old", "tools",
        "A tool is older than the least version that can use security hardening mode.",
        "", "python -m pip install --upgrade alibabacloud_credentials", "", _PAGE,
    ),
    Cause(
        "widgets-out-of-step", "tools",
        "The notebook's front end and the kernel's ipywidgets do not fit, so widgets show nothing.",
        "", "python -m pip install --upgrade ipywidgets jupyterlab_widgets anywidget", "",
        "https://github.com/microsoft/vscode-jupyter/issues/17504",
    ),
    Cause(
        "widget-lost", "tools",
        "The notebook shows a widget whose kernel has gone: run its cell again.", "", "", "",
        "https://github.com/jupyter-widgets/ipywidgets/issues/1664",
        words="run the cell again that shows the widget (Shift+Enter), or all cells: Run > Run All Cells",
    ),
    Cause(
        "crc-slow", "tools",
        "The package crcmod runs without its C extension, so checking a download is many times slower than the download.",
        "", "python -m pip install --force-reinstall crcmod", "", f"{_OSS_PY}/issues/76",
    ),
    # -- network: no way to the services -----------------------------------------------------------------------
    Cause(
        "proxy-in-the-way", "network",
        "A proxy from the environment takes the requests; the SDKs send even metadata requests through it.",
        "", "unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY", "", _PAGE,
    ),
    Cause(
        "name-unresolved", "network",
        "The service's host name could not be resolved: it is misspelt, or this machine has no DNS for it.",
        "rr.diagnose(vm)", "getent hosts {endpoint}", "", _ENDPOINTS,
    ),
    Cause(
        "connection-refused", "network", "Nothing listens at the address that was asked.",
        "rr.diagnose(vm)", "", "", _ENDPOINTS,
    ),
    Cause(
        "tls-failed", "network",
        "The server's certificate was not accepted: a proxy opens the connection, the clock is wrong, or the name does"
        " not match.",
        "rr.diagnose(vm)", "curl -v https://{endpoint}/", "", _ENDPOINTS,
    ),
    Cause(
        "internal-endpoint-outside", "network",
        "An internal OSS endpoint (-internal) answers only inside Alibaba Cloud in the same region; elsewhere it is silent.",
        "cloud.buckets[{bucket}]", "", "OSS console > Buckets > the bucket > Overview > Port", _ENDPOINTS,
    ),
    Cause(
        "service-unreachable", "network",
        "The service did not answer in time: the network, a firewall or a proxy stops it.",
        "rr.diagnose(vm)", "", "ECS console > Security Groups", _ENDPOINTS,
    ),
    # -- metadata: the metadata service ------------------------------------------------------------------------
    Cause(
        "not-on-ecs", "metadata",
        "This program does not run on an ECS instance; 100.100.100.200 exists there only.",
        "cloud = rr.connect()", "ramrole on INSTANCE -- YOUR PROGRAM", "", _IMDS,
    ),
    Cause(
        "wrong-instance", "metadata",
        "This program runs on another ECS instance than the one that is meant; metadata is that of the machine it runs on.",
        "cloud.instances[{instance}]", "curl -sS -m 3 http://100.100.100.200/latest/meta-data/instance-id",
        "ECS console > Instances",
        _IMDS,
    ),
    Cause(
        "container-without-metadata", "metadata",
        "The program runs in a container that has no way to 100.100.100.200.",
        "rr.diagnose(vm)", "docker run --network host IMAGE", "", _IMDS,
    ),
    Cause(
        "metadata-unreachable", "metadata",
        "Nothing answers at 100.100.100.200: this is no ECS instance, or its firewall or security group blocks the address.",
        "rr.diagnose(vm)", "curl -sS -m 3 http://100.100.100.200/latest/meta-data/instance-id",
        "ECS console > Security Groups", _PAGE,
    ),
    Cause(
        "metadata-disabled", "metadata",
        "The instance's metadata service is switched off (HttpEndpoint=disabled).",
        "cloud.instances[{instance}].set_metadata(True)",
        "aliyun ecs ModifyInstanceMetadataOptions --RegionId {region} --InstanceId {instance} --HttpEndpoint enabled",
        "ECS console > Instances > the instance > Modify Instance Metadata Options", _OPTIONS,
    ),
    Cause(
        "metadata-token-forwarded", "metadata",
        "The metadata service gives no token to a request that a proxy forwarded (X-Forwarded-For), or metadata is off.",
        "vm.credentials()", f"env -u http_proxy -u HTTP_PROXY sh -c {shlex.quote(_CURL_PUT)}", "", _IMDS,
    ),
    Cause(
        "metadata-token-ttl", "metadata",
        "A metadata token is asked for with its validity in a header, 1 to 21600 seconds; it was missing or outside.",
        "vm.metadata.token(ttl=300)", _CURL_PUT, "", _IMDS,
    ),
    Cause(
        "metadata-token-method", "metadata",
        "A metadata token is asked for with PUT; another method gets 405.",
        "vm.metadata.token(ttl=300)", _CURL_PUT, "", "https://github.com/aliyun/credentials-nodejs/issues/111",
    ),
    Cause(
        "metadata-token-refused", "metadata",
        "The metadata service did not accept the token: it has expired, or another instance got it.",
        "vm.credentials(refresh=True)", _CURL_PUT, "", _IMDS,
    ),
    Cause(
        "hardened-only", "metadata",
        "The instance answers in security hardening mode only (HttpTokens=required), and the request carried no token"
        " (or metadata is off).",
        "vm.credentials(mode='security hardening')", _CURL_ROLE,
        "ECS console > Instances > the instance > Modify Instance Metadata Options", _HARDENED,
    ),
    Cause(
        "metadata-throttled", "metadata",
        "The metadata service was asked too often; keep a credential until near its expiry.",
        "vm.credentials()", "", "", _IMDS,
    ),
    Cause(
        "metadata-failed", "metadata",
        "The metadata service itself failed (5xx); the request was not at fault.",
        "vm.credentials(refresh=True)", _CURL_ROLE, "", _IMDS,
    ),
    # -- role: on the instance ---------------------------------------------------------------------------------
    Cause(
        "no-role-attached", "role", "The instance has no RAM role.",
        "vm.attach(cloud.roles[{role}])",
        "aliyun ecs AttachInstanceRamRole --RegionId {region} --RamRoleName {role} --InstanceIds {instances}",
        "ECS console > Instances > the instance > ⋮ > Instance Settings > Attach/Detach RAM Role", _PAGE,
    ),
    Cause(
        "role-name-wrong", "role",
        "Another role is attached to the instance than the one that was asked for.",
        "vm.role_name", _CURL_ROLE, _CHECK_CONSOLE, "https://github.com/aliyun/aliyun-cli/issues/525",
    ),
    Cause(
        "role-not-served", "role",
        "The metadata service has no such role: none is attached to the instance, or another one (the name is"
        " case-sensitive).",
        "vm.role_name", _CURL_ROLE, _CHECK_CONSOLE, "https://github.com/aliyun/aliyun-cli/issues/525",
    ),
    Cause(
        "role-not-visible-yet", "role", "The role was attached moments ago and does not show everywhere yet.",
        "vm.credentials()", _CURL_ROLE, _CHECK_CONSOLE, "https://github.com/alibaba/terraform-provider/issues/387",
        words="wait some seconds, then ask again",
    ),
    Cause(
        "role-deleted", "role",
        "The attached role was deleted, or deleted and made again: its credentials may do nothing any more.",
        "cloud.roles.create({role})", f"aliyun ram CreateRole --RoleName {{role}} --AssumeRolePolicyDocument {_TRUST}",
        "RAM console > Identities > Roles > Create Role", _RAM_FAQ,
        words="create the role again and grant it what it needs, or take its name off the instance: vm.detach()",
    ),
    Cause(
        "trust-without-ecs", "role", _same_as("InvalidRamRole.NotEcsRole"),
        "cloud.roles[{role}].set_trust(rr.policy.trust_for_service('ecs.aliyuncs.com'))",
        "aliyun ram GetRole --RoleName {role}", _TRUST_CONSOLE, _PAGE,
    ),
    # -- credential --------------------------------------------------------------------------------------------
    Cause(
        "no-credentials", "credential", "No source of the SDK's chain gave a credential.",
        "cloud = rr.connect('live', profile='NAME')",
        "aliyun configure set --profile EcsProfile --mode EcsRamRole --ram-role-name {role} --region {region}", "",
        _CLI_ROLE,
    ),
    Cause(
        "static-key-wins", "credential",
        "A long-lived AccessKey in the environment or a profile is used before the instance's role.",
        "vm.credentials()",
        "unset ALIBABA_CLOUD_ACCESS_KEY_ID ALIBABA_CLOUD_ACCESS_KEY_SECRET ALIBABA_CLOUD_SECURITY_TOKEN", "",
        _CREDENTIALS_PY,
    ),
    Cause(
        "credential-expired", "credential", _same_as("SecurityTokenExpired"),
        "vm.credentials(refresh=True)", "", "", "https://alibabacloud.com/help/en/oss/support/0002-00000007",
    ),
    Cause(
        "url-expired", "credential", "The presigned URL has expired, or the credential that signed it has.",
        "vm.credentials(refresh=True)", "", "OSS console > Buckets > the bucket > Objects > View Details > Copy URL",
        f"{_HELP}/oss/developer-reference/include-signatures-in-the-authorization-header",
    ),
    Cause(
        "credential-stale", "credential",
        "This process still holds an earlier credential; the metadata service serves another one now.",
        "vm.credentials(refresh=True)", "", "", "https://alibabacloud.com/help/en/oss/support/0002-00000007",
    ),
    Cause(
        "credential-mixed", "credential",
        "The key and the security token come from two different credentials, as when they are read one by one while"
        " they are renewed.",
        "vm.credentials()", "", "", "https://github.com/aliyun/credentials-go/pull/49",
    ),
    Cause(
        "security-token-missing", "credential",
        "A temporary key (STS.…) was used without its security token.",
        "vm.credentials()", "", "", "https://help.aliyun.com/en/oss/user-guide/0002-00000003",
    ),
    Cause(
        "security-token-invalid", "credential",
        "The security token is not recognised: cut off, altered, or not a token of this service.",
        "vm.credentials(refresh=True)", "", "", "https://help.aliyun.com/en/oss/user-guide/0002-00000006",
    ),
    Cause(
        "access-key-unknown", "credential", _same_as("InvalidAccessKeyId.NotFound"),
        "cloud.provenance", "aliyun configure list", "RAM console > Identities > Users > the user > AccessKey",
        _GATEWAY,
    ),
    Cause(
        "access-key-disabled", "credential", "The AccessKey exists and is disabled.",
        "cloud.provenance", "aliyun configure list", "RAM console > Identities > Users > the user > AccessKey > Enable",
        _GATEWAY,
    ),
    Cause(
        "signature-mismatch", "credential", _same_as("SignatureDoesNotMatch"),
        "cloud.provenance", "aliyun configure list", "",
        f"{_HELP}/oss/developer-reference/include-signatures-in-the-authorization-header",
    ),
    Cause(
        "signature-malformed", "credential",
        "The Authorization header (or its parameters) is not one the service can read.",
        "cloud.buckets[{bucket}].using(vm)", "", "",
        f"{_HELP}/sdk/product-overview/v3-request-structure-and-signature",
    ),
    Cause(
        "signature-v1-refused", "credential",
        "OSS refuses signature version 1 for new accounts and new buckets: sign with version 4.",
        "cloud.buckets[{bucket}].using(vm)", "", "", "https://help.aliyun.com/en/oss/user-guide/0002-00000080",
    ),
    Cause(
        "signing-region-wrong", "credential",
        "The region in a version 4 signature is not the bucket's, or not written like cn-hangzhou.",
        "cloud.buckets[{bucket}].using(vm)", "", "", _V4,
    ),
    Cause(
        "signing-region-missing", "credential",
        "Signature version 4 needs the bucket's region (region=…), written like cn-hangzhou.",
        "cloud.buckets[{bucket}].using(vm)", "", "", _V4,
    ),
    Cause(
        "nonce-used", "credential",
        "The same request arrived twice: each needs its own nonce, within 15 minutes.",
        "cloud.identity()", "", "", _GATEWAY,
    ),
    Cause(
        "user-disabled", "credential",
        "The account is disabled (often: an overdue payment), so OSS refuses everything.",
        "", "", "Expenses and Costs console", "https://www.alibabacloud.com/help/en/oss/support/0003-00000801",
    ),
    # -- clock -------------------------------------------------------------------------------------------------
    Cause(
        "clock-skew", "clock", _same_as("RequestTimeTooSkewed"),
        "rr.diagnose(vm)", "timedatectl set-ntp true", "", "https://help.aliyun.com/en/oss/user-guide/0002-00000504",
    ),
    Cause(
        "time-malformed", "clock", "The time in the request is missing or not in the form the service wants.",
        "cloud.identity()", "date -u +%Y-%m-%dT%H:%M:%SZ", "", _GATEWAY,
    ),
    # -- request: what is asked, of which service --------------------------------------------------------------
    Cause(
        "throttled", "request", "Too many calls in a short time.", "", "sleep 5", "", _RAM_FAQ,
    ),
    Cause(
        "service-failed", "request",
        "The service itself failed; the request was not at fault.", "", "", "", _GATEWAY,
        words="try again in a minute; if it goes on, give the request id to the support of Alibaba Cloud",
    ),
    Cause(
        "reply-not-the-services", "request",
        "The answer was empty or not in the service's form: it was cut off, or a proxy or another server answered.",
        "rr.diagnose(vm)", "", "", "https://github.com/aliyun/terraform-provider-alicloud",
    ),
    Cause(
        "action-unknown", "request", "The service has no operation of this name in this API version.",
        "", "aliyun ecs help", "https://api.alibabacloud.com", _GATEWAY,
    ),
    Cause(
        "service-host-wrong", "request",
        "The host is not that of the product that was asked, so the gateway cannot tell the product.",
        "", "", "", _GATEWAY,
        words="leave the endpoint out, so that the SDK finds it, or name that of this product and region",
    ),
    Cause(
        "needs-https", "request", "The service takes HTTPS only.", "", "", "", _GATEWAY,
        words="set the client's protocol to HTTPS, or write https:// in front of the endpoint",
    ),
    Cause(
        "parameter-missing", "request",
        "A parameter that the operation needs is missing.", "", "", "", _GATEWAY,
        words="add the parameter that the message names; the page of the operation lists those it needs",
    ),
    Cause(
        "parameter-invalid", "request",
        "A parameter has a value that the operation does not take.", "", "", "", _GATEWAY,
        words="correct the parameter that the message names; the page of the operation has its values and limits",
    ),
    Cause(
        "region-unknown", "request", "There is no such region, or the operation is not offered there.",
        "cloud.region_id", "aliyun ecs DescribeRegions", "",
        f"{_HELP}/ecs/developer-reference/api-ecs-2014-05-26-describeregions",
    ),
    Cause(
        "method-not-allowed", "request",
        "The resource exists, and does not take this HTTP method.", "", "", "", _ENDPOINTS,
        words="compare method and address with the operation's page; an SDK chooses both by itself",
    ),
    # -- account: what exists in RAM and ECS -------------------------------------------------------------------
    Cause(
        "ram-inactive", "account",
        "RAM was never activated in this account.", "", "", "RAM console > Activate", _RAM_ERRORS,
    ),
    Cause(
        "role-not-found", "account", _same_as("EntityNotExist.Role"),
        "cloud.roles.create({role})", "aliyun ram ListRoles", "RAM console > Identities > Roles", _PAGE,
    ),
    Cause(
        "policy-not-found", "account", _same_as("EntityNotExist.Policy"),
        "cloud.roles.policies()", "aliyun ram ListPolicies", "RAM console > Permissions > Policies", _POLICY,
    ),
    Cause(
        "policy-not-granted", "account", _same_as("EntityNotExist.Role.Policy"),
        "cloud.roles[{role}].policies()", "aliyun ram ListPoliciesForRole --RoleName {role}", _ROLE_CONSOLE, _POLICY,
    ),
    Cause(
        "user-not-found", "account", "No RAM user or group has this name.",
        "cloud.identity()", "aliyun ram ListUsers", "RAM console > Identities > Users", _RAM_ERRORS,
    ),
    Cause(
        "role-exists", "account", _same_as("EntityAlreadyExists.Role"),
        "cloud.roles[{role}]", "aliyun ram GetRole --RoleName {role}", "RAM console > Identities > Roles", _RAM_ERRORS,
    ),
    Cause(
        "policy-exists", "account", _same_as("EntityAlreadyExists.Policy"),
        "cloud.roles.policies({policy})", "aliyun ram GetPolicy --PolicyType Custom --PolicyName {policy}",
        "RAM console > Permissions > Policies", _RAM_ERRORS,
    ),
    Cause(
        "policy-already-granted", "account", _same_as("EntityAlreadyExists.Role.Policy"),
        "cloud.roles[{role}].policies()", "aliyun ram ListPoliciesForRole --RoleName {role}", "", _RAM_ERRORS,
    ),
    Cause(
        "role-still-has-policies", "account", _same_as("DeleteConflict.Role.Policy"),
        "cloud.roles[{role}].delete(revoke=True)", "aliyun ram ListPoliciesForRole --RoleName {role}",
        "RAM console > Identities > Roles > the role > Permissions", _RAM_ERRORS,
        words="first detach the role from its instances (cloud.picture() shows them): an attached role may be deleted, and"
        " they then have none that works",
    ),
    Cause(
        "policy-in-use", "account",
        "Something still holds the policy, or it has more versions than the default one.",
        "cloud.roles[{role}].revoke({policy})",
        "aliyun ram ListEntitiesForPolicy --PolicyType Custom --PolicyName {policy}",
        "RAM console > Permissions > Policies > the policy > References", _RAM_ERRORS,
    ),
    Cause(
        "limit-reached", "account",
        "A quota of the account is used up.", "", "", "RAM console > Overview", _RAM_ERRORS,
    ),
    Cause(
        "name-invalid", "account",
        "The name holds characters the service does not take, or is too long or empty.",
        "", "", "", _RAM_ERRORS,
        words="take 1 to 64 letters, digits, dots and hyphens for a role; the page has the limits of the other names",
    ),
    Cause(
        "policy-malformed", "account", _same_as("MalformedPolicyDocument"),
        "rr.policy.parse_policy(text)", "ramrole policy lint FILE", "RAM console > Permissions > Policies", _POLICY,
    ),
    Cause(
        "instance-not-found", "account", _same_as("InvalidInstanceId.NotFound"),
        "cloud.instances", "aliyun ecs DescribeInstances --RegionId {region}", "ECS console > Instances", _INSTANCES,
    ),
    Cause(
        "instance-ids-malformed", "account",
        "InstanceIds is a JSON list as text, for example '[\"i-abc\"]', 1 to 100 of them.",
        "cloud.instances.attach({role}, [{instance}])",
        "aliyun ecs AttachInstanceRamRole --RegionId {region} --RamRoleName {role} --InstanceIds {instances}",
        "",
        _ATTACH,
    ),
    Cause(
        "classic-network", "account", _same_as("InvalidNetworkType.MismatchRamRole"),
        "cloud.instances", "", "ECS console > Instances", _ATTACH,
    ),
    Cause(
        "role-already-attached", "account", "The instance has a role already; an instance has one at most.",
        "vm.replace_role(cloud.roles[{role}])",
        "aliyun ecs DetachInstanceRamRole --RegionId {region} --InstanceIds {instances}",
        "ECS console > Instances > the instance > ⋮ > Instance Settings > Attach/Detach RAM Role", _PAGE,
    ),
    Cause(
        "metadata-option-refused", "account",
        "The instance does not take this metadata option (Windows cannot be hardened-only).",
        "vm.set_hardening(False)", "", "ECS console > Instances > the instance > Modify Instance Metadata Options",
        _OPTIONS,
    ),
    Cause(
        "instance-not-running", "account", "The instance is not running, so no command can run on it.",
        "", "aliyun ecs StartInstance --InstanceId {instance}", "ECS console > Instances > Start",
        _RUN,
    ),
    Cause(
        "assistant-not-answering", "account",
        "The Cloud Assistant agent of the instance is missing, too old or does not answer.",
        "",
        "aliyun ecs DescribeCloudAssistantStatus --RegionId {region} --InstanceId.1 {instance}",
        "ECS console > Maintenance & Monitoring > Cloud Assistant", _RUN,
    ),
    Cause(
        "command-failed", "account",
        "The command ran on the instance and ended with an error of its own, or ran out of time.",
        "", "", "ECS console > Maintenance & Monitoring > Cloud Assistant > Command Execution Result", _RUN,
    ),
    Cause(
        "diagnostic-message-stale", "account",
        "The encoded diagnostic message has expired, or is none of this account's.", "", "", "", _DECODE,
        words="repeat the refused call, and decode the new message at once, in the account that was refused",
    ),
    # -- endpoint ----------------------------------------------------------------------------------------------
    Cause(
        "endpoint-wrong-region", "endpoint",
        "The bucket is in another region than the endpoint that was asked.",
        "cloud.buckets[{bucket}].using(vm)", "aliyun oss ls oss://{bucket}/ --endpoint {endpoint}",
        "OSS console > Buckets > the bucket > Overview > Port", _ENDPOINTS,
    ),
    Cause(
        "public-endpoint-forbidden", "endpoint",
        "New accounts may not use public endpoints of mainland regions for data: use -internal on ECS, or a CNAME.",
        "cloud.buckets[{bucket}].using(vm)", "", "OSS console > Buckets > the bucket > Domain Names",
        "https://www.alibabacloud.com/help/en/oss/user-guide/0048-00000401",
    ),
    Cause(
        "bucket-not-in-host", "endpoint", _same_as("SecondLevelDomainForbidden"),
        "cloud.buckets[{bucket}].using(vm)", "", "", _ENDPOINTS,
    ),
    Cause(
        "host-not-oss", "endpoint", "The host name is not one of OSS, and not a CNAME bound to a bucket.",
        "cloud.buckets[{bucket}]", "", "OSS console > Buckets > the bucket > Domain Names", _ENDPOINTS,
    ),
    Cause(
        "acceleration-off", "endpoint",
        "Transfer acceleration is off for the bucket, so its accelerate endpoint refuses.",
        "cloud.buckets[{bucket}]", "", "OSS console > Buckets > the bucket > Transfer Acceleration", _ENDPOINTS,
    ),
    # -- object ------------------------------------------------------------------------------------------------
    Cause(
        "bucket-not-found", "object", _same_as("NoSuchBucket"),
        "cloud.buckets", "aliyun oss ls", "OSS console > Buckets",
        "https://api.alibabacloud.com/troubleshoot?q=0015-00000101",
    ),
    Cause(
        "object-not-found", "object", _same_as("NoSuchKey"),
        "cloud.buckets[{bucket}].list()", "aliyun oss ls oss://{bucket}/", "OSS console > Buckets > the bucket > Objects",
        "https://api.alibabacloud.com/troubleshoot?q=0026-00000001",
    ),
    Cause(
        "bucket-name-invalid", "object",
        "A bucket name has 3 to 63 lower-case letters, digits and hyphens, no hyphen at its ends.",
        "cloud.buckets", "aliyun oss ls", "OSS console > Buckets", _ENDPOINTS,
    ),
    Cause(
        "object-name-invalid", "object",
        "An object key has 1 to 1023 bytes of UTF-8 and does not begin with a slash.",
        "cloud.buckets[{bucket}].list()", "aliyun oss ls oss://{bucket}/", "", _ENDPOINTS,
    ),
    Cause(
        "bucket-exists", "object", "A bucket of this name exists already; names are shared by all accounts.",
        "cloud.buckets", "aliyun oss ls", "OSS console > Buckets", _ENDPOINTS,
    ),
    Cause(
        "bucket-not-empty", "object", "The bucket still holds objects or unfinished uploads.",
        "cloud.buckets[{bucket}].list()", "aliyun oss ls oss://{bucket}/", "OSS console > Buckets > the bucket > Objects",
        _ENDPOINTS,
    ),
    Cause(
        "object-exists", "object", _same_as("FileAlreadyExists"),
        "cloud.buckets[{bucket}].head({key})", "aliyun oss stat oss://{bucket}/{key}", "", _OSS_RAM,
    ),
    Cause(
        "object-archived", "object", "The object is archived: it must be restored before it can be read.",
        "", "aliyun oss restore oss://{bucket}/{key}", "OSS console > Buckets > the bucket > Objects > Restore",
        f"{_HELP}/oss/user-guide/restore-objects",
    ),
    Cause(
        "range-invalid", "object", "The byte range lies outside the object.",
        "cloud.buckets[{bucket}].head({key})", "aliyun oss stat oss://{bucket}/{key}", "",
        "https://help.aliyun.com/en/oss/user-guide/http-status-code-416",
    ),
    Cause(
        "precondition-failed", "object",
        "A condition of the request did not hold: the object changed since it was looked at.",
        "cloud.buckets[{bucket}].head({key})", "aliyun oss stat oss://{bucket}/{key}", "", _ENDPOINTS,
    ),
    Cause(
        "upload-not-found", "object",
        "There is no such multipart upload: it was completed, aborted or never begun.",
        "", "aliyun oss ls oss://{bucket}/ -m", "OSS console > Buckets > the bucket > Parts", _ENDPOINTS,
    ),
    Cause(
        "upload-parts-wrong", "object",
        "The parts named at the end of the upload are not those that were sent, or not in order.",
        "", "aliyun oss ls oss://{bucket}/ -m", "", _ENDPOINTS,
    ),
    Cause(
        "object-kind-wrong", "object",
        "The object is not of the kind (normal, appendable) or length that the operation needs.",
        "cloud.buckets[{bucket}].head({key})", "aliyun oss stat oss://{bucket}/{key}", "", _ENDPOINTS,
    ),
    Cause(
        "body-malformed", "object",
        "The body of the request is not what the operation takes: length, checksum or XML.",
        "", "", "", _ENDPOINTS,
        words="send the body anew, with its length and Content-MD5 left to the SDK",
    ),
    # -- policy: who may ---------------------------------------------------------------------------------------
    Cause(
        "anonymous", "policy", "The request carried no credential, and what it asks for is not public.",
        "cloud.buckets[{bucket}].using(vm)", "", "", "https://www.alibabacloud.com/help/en/oss/support/0003-00000002",
    ),
    Cause(
        "pass-role-missing", "policy", _same_as("InvalidUser.PassRoleForbidden"),
        "cloud.identity()", "", "RAM console > Identities > Users > the user > Permissions > Grant Permission", _PASS_ROLE,
    ),
    Cause(
        "control-policy", "policy",
        "A control policy of the resource directory refuses this to the whole account.",
        "", "", "Resource Directory console > Control Policies", _EVALUATION,
    ),
    Cause(
        "session-policy", "policy",
        "The session policy given when the credential was made does not allow this.",
        "vm.detach().attach(cloud.roles[{role}])", "", _CHECK_CONSOLE,
        "https://www.alibabacloud.com/help/doc-detail/161911.htm",
    ),
    Cause(
        "assume-role-refused", "policy",
        "The role may not be assumed by this caller: its trust policy, or the caller's own policies, do not allow it.",
        "cloud.roles[{role}].trust_policy", "aliyun ram GetRole --RoleName {role}", _TRUST_CONSOLE, _RAM_FAQ,
    ),
    Cause(
        "explicit-deny", "policy", "A policy explicitly denies this, and a Deny always wins.",
        "cloud.roles[{role}].policies()", "aliyun ram ListPoliciesForRole --RoleName {role}", _ROLE_CONSOLE,
        "https://www.alibabacloud.com/help/en/oss/support/0003-00000201",
    ),
    Cause(
        "permission-missing", "policy", "No policy of the caller allows this.",
        "cloud.roles[{role}].grant({policy})",
        "aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName {policy} --RoleName {role}", _ROLE_CONSOLE,
        "https://alibabacloud.com/help/en/oss/support/0003-00000001",
    ),
    Cause(
        "resource-form-wrong", "policy",
        "The policy allows the action on the wrong form of resource: objects are bucket/*, the bucket itself is bucket.",
        "cloud.roles[{role}].grant(rr.policy.read_objects({bucket}))", "ramrole policy lint FILE", _ROLE_CONSOLE,
        _OSS_RAM,
    ),
    Cause(
        "bucket-policy", "policy",
        "The bucket's own policy or settings refuse this, whatever the caller's policies say.",
        "cloud.buckets[{bucket}].info()", "aliyun oss bucket-policy --method get oss://{bucket}",
        "OSS console > Buckets > the bucket > Permission Control > Bucket Policy", _OSS_RAM,
    ),
    Cause(
        "acl-refuses", "policy",
        "The bucket or object belongs to somebody else, and its access control list does not let the caller in.",
        "cloud.buckets[{bucket}].info()", "aliyun oss stat oss://{bucket}",
        "OSS console > Buckets > the bucket > Permission Control > Bucket ACL", _OSS_RAM,
    ),
    Cause(
        "access-denied", "policy",
        "The service refused this to the caller and did not say which policy decided.",
        "cloud.identity()", "aliyun sts GetCallerIdentity", _ROLE_CONSOLE, _EVALUATION,
    ),
    # -- transfer: the bytes -----------------------------------------------------------------------------------
    Cause(
        "transfer-cut-off", "transfer", "The connection ended before the whole object had arrived.",
        "cloud.buckets[{bucket}].download({key}, overwrite=True)", "", "", f"{_OSS_PY}/issues/201",
    ),
    Cause(
        "transfer-altered", "transfer",
        "The bytes that arrived do not have the length or CRC64 that OSS announced.",
        "cloud.buckets[{bucket}].download({key}, overwrite=True)", "", "", f"{_OSS_PY}/issues/109",
    ),
    Cause(
        "transfer-stalled", "transfer", "The connection stayed open and no byte came until the time-out.",
        "cloud.buckets[{bucket}].download({key}, overwrite=True)", "", "", "https://github.com/treeverse/dvc/issues/5051",
    ),
]  # fmt: skip

CAUSES: dict[str, Cause] = {entry.id: entry for entry in _LIST}


def cause(cause_id: str) -> Cause:
    """Return the cause of this id. Raises InputError, with the nearest id, where there is none."""
    if cause_id not in CAUSES:
        raise InputError(
            f"There is no cause {cause_id!r}.{nearest(cause_id, CAUSES)}",
            next_step="see doctor.causes.CAUSES",
        )
    return CAUSES[cause_id]
