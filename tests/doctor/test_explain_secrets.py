"""No form of an explanation holds a secret of the pasted text, in whatever spelling it stood there."""

from __future__ import annotations

import base64
import html
import json
import string
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramrole_nb as rr
from ramrole_nb.doctor.explanation import Explanation

_ALNUM = string.ascii_letters + string.digits


def _looks_random(text: str) -> bool:
    return all(
        any(c in kind for c in text)
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits)
    )


# An AccessKeySecret has 30 letters and digits; a security token is base64 of some hundred bytes.
ACCESS_KEY_SECRETS = st.text(_ALNUM, min_size=30, max_size=30).filter(_looks_random)
SECURITY_TOKENS = st.binary(min_size=200, max_size=300).map(
    lambda raw: "CAIS" + base64.b64encode(raw).decode()
)
SECRETS = ACCESS_KEY_SECRETS | SECURITY_TOKENS
# Passwords of any shape: they are known by their label alone.
LABELLED_SECRETS = SECRETS | st.text(string.ascii_lowercase + "!$%*+-./=@_~", min_size=12, max_size=40).map(
    lambda text: f"q{text}7"
)

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "URL-encoded": lambda s: quote(s, safe=""),
    "form-encoded": quote_plus,
    "in JSON": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "in HTML": html.escape,
    "in base64": lambda s: base64.b64encode(s.encode()).decode(),
    "in URL-safe base64": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "in hex": lambda s: s.encode().hex(),
    "in HEX": lambda s: s.encode().hex().upper(),
    "in hex, byte by byte": lambda s: s.encode().hex(" ").upper(),
    "in \\u form": lambda s: "".join(f"\\u{ord(c):04x}" if c in "+/=" else c for c in s),
}
_LABELLED = (
    "AccessKeySecret: {}",
    '{{"AccessKeyId": "STS.x", "AccessKeySecret": "{}", "Code": "Success"}}',
    "<Error><Code>SecurityTokenExpired</Code><EC>0002-00000007</EC><SecurityToken>{}</SecurityToken></Error>",
    "oss2.exceptions.ServerError: {{'status': 403, 'details': {{'Code': 'InvalidSecurityToken', 'SecurityToken': '{}'}}}}",
    "> x-oss-security-token: {}\n< HTTP/1.1 403 Forbidden\n< x-oss-ec: 0002-00000006\n",
    "> X-aliyun-ecs-metadata-token: {}\n> Host: 100.100.100.200\n< HTTP/1.1 401 Unauthorized\n",
    "GET https://ecs.cn-beijing.aliyuncs.com/?Action=DescribeRegions&SecurityToken={}&Version=2014-05-26 timed out",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET={} aliyun ecs DescribeRegions\nErrorCode: InvalidAccessKeyId.NotFound",
    "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>GET\n\nx-oss-security-token:{}\n/b/k</StringToSign></Error>",
    "http://i-2zesandboxweb1:{}@127.0.0.1:3128 refused: SDK.ServerError ErrorCode: Throttling.User",
)
# The secret in the middle of a sentence, a path or a name, which nothing labels.
_ANYWHERE = (
    "{}",
    "Code: NoSuchKey Message: no {} here oss2",
    "<Error><Code>NoSuchKey</Code><Message>{}</Message><Key>{}</Key><BucketName>{}</BucketName><EC>0026-00000001</EC></Error>",
    '{{"Code": "NoPermission", "Message": "Resource: acs:ram:*:1:role/{} Action: ram:GetRole", "HostId": "aliyuncs.com"}}',
    "curl http://100.100.100.200/latest/meta-data/ram/security-credentials/{}\nHTTP/1.1 404 Not Found",
    "Error: {} code: 403, {} request id: {} aliyuncs.com",
    "ErrorCode: {}\nRequestId: {}\nEC: {}\nHostId: {}.oss-cn-beijing.aliyuncs.com\nEndpoint: {}\naction={}&Action={}",
    "AccessDeniedDetail: {{'AuthPrincipalDisplayName': '{}', 'AuthAction': '{}', 'EncodedDiagnosticMessage': '{}'}} aliyun",
    "-k LTAI5tExampleExample00 -s {}",
)  # fmt: skip


def forms(found: Explanation) -> str:
    return "\n".join(
        [
            str(found),
            repr(found),
            found.to_html(),
            found.to_markdown(),
            json.dumps(found.to_dict()),
            found.call,
        ]
        + [str(value) for value in vars(found).values()]
    )


def holds(secret: str, told: str) -> list[str]:
    """Return the spellings in which a text holds the secret, or a good part of it."""
    found = [name for name, spell in SPELLINGS.items() if spell(secret) in told]
    part = secret[len(secret) // 3 :][:14]
    return found + (["a part"] if part in told else [])


@settings(max_examples=40, deadline=None, database=None)
@given(secret=LABELLED_SECRETS, spelling=st.sampled_from(list(SPELLINGS)), place=st.sampled_from(_LABELLED))
def test_a_secret_behind_its_label(secret: str, spelling: str, place: str) -> None:
    told = forms(rr.explain(place.format(SPELLINGS[spelling](secret))))
    assert holds(secret, told) == []


@settings(max_examples=60, deadline=None, database=None)
@given(secret=SECRETS, spelling=st.sampled_from(list(SPELLINGS)), place=st.sampled_from(_ANYWHERE))
def test_a_secret_anywhere(secret: str, spelling: str, place: str) -> None:
    spelt = SPELLINGS[spelling](secret)
    told = forms(rr.explain(place.format(*[spelt] * 8)))
    assert holds(secret, told) == []
    assert spelt not in told


@settings(max_examples=30, deadline=None, database=None)
@given(secret=LABELLED_SECRETS, spelling=st.sampled_from(list(SPELLINGS)))
def test_a_secret_that_is_labelled_once_and_stands_elsewhere_too(secret: str, spelling: str) -> None:
    spelt = SPELLINGS[spelling](secret)
    text = f"SecurityToken: '{secret}'\nCode: NoSuchKey\nMessage: the key {spelt} does not exist (oss2)\n"
    assert holds(secret, forms(rr.explain(text))) == []


@settings(max_examples=20, deadline=None, database=None)
@given(secret=SECRETS)
def test_a_secret_inside_the_header_of_a_head_request(secret: str) -> None:
    body = f"<Message>see {secret}</Message><SecurityToken>{secret}</SecurityToken>"
    body = f"<Error><Code>SecurityTokenExpired</Code>{body}</Error>"
    header = base64.b64encode(f"<?xml version='1.0'?>{body}".encode()).decode()
    found = rr.explain(f"x-oss-err: {header}")
    assert found.cause == "credential-expired"
    assert holds(secret, forms(found)) == []


def test_a_secret_this_process_knows() -> None:
    rr.redact.__globals__["remember"]("my-own-quiet-word")
    found = rr.explain("Code: NoSuchKey Message: not my-own-quiet-word (oss2)")
    assert "my-own-quiet-word" not in forms(found)


def test_what_is_no_secret_stays_readable() -> None:
    found = rr.explain(
        '{"RequestId":"75ED230B-E2EE-479D-AADD-BB84B906716F","HostId":"ram.aliyuncs.com","Code":"NoPermission","Message":'
        '"You are not authorized to do this action. Resource: acs:ram:*:1986901577758888:role/AliyunEcsRole Action: '
        'ram:GetRole"}'
    )
    assert "*" * 8 not in str(found)
    assert "acs:ram:*:1986901577758888:role/AliyunEcsRole" in str(found)
    assert found.request_id == "75ED230B-E2EE-479D-AADD-BB84B906716F"


@pytest.mark.parametrize("word", ["InvalidSecurityToken", "MissingSecurityToken", "SecurityTokenExpired"])
def test_a_code_that_speaks_of_a_token_is_not_masked(word: str) -> None:
    found = rr.explain(f"oss: service returned error: {word}: SecurityToken is mandatory for this action.")
    assert found.code == word
