"""Who signed this request? Signature, key, security token, clock and nonce are checked here and nowhere else."""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .errors import OpenApiError, OssError
from .exchange import Exchange, Principal, http_date
from .journal import masked
from .knobs import Knobs
from .signing import acs3, oss_v1, oss_v4, rpc_v1
from .store import Store

__all__ = ["MAX_SKEW_SECONDS", "Authenticator"]

# Both the OpenAPI gateway and OSS accept 15 minutes.
MAX_SKEW_SECONDS = 900

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


@dataclass(frozen=True)
class _Key:
    """A key the account knows: a user's, or one of a role session."""

    secret: str
    active: bool
    principal: Principal
    token: str = ""
    expires: float = float("inf")


class Authenticator:
    """Verifies signatures against the keys in the state."""

    def __init__(self, store: Store, knobs: Knobs) -> None:
        self._store = store
        self._knobs = knobs

    def _now(self) -> float:
        skew = 3600.0 if self._knobs.faults.on("clock-skew") else 0.0
        return time.time() + self._knobs.number("clock_skew") + skew

    def _key(self, access_key_id: str) -> _Key | None:
        account = self._store.account_id
        row = self._store.one(
            "SELECT k.*, u.user_id FROM access_keys k JOIN users u ON u.name = k.user_name WHERE access_key_id=?",
            access_key_id,
        )
        if row is not None:
            user = Principal("RAMUser", account, row["user_name"], row["user_id"], access_key_id)
            return _Key(row["secret"], row["status"] == "Active", user)
        row = self._store.one("SELECT * FROM sts_sessions WHERE access_key_id=?", access_key_id)
        if row is None:
            return None
        session = Principal(
            "AssumedRoleUser",
            account,
            row["role_name"],
            row["role_id"],
            access_key_id,
            row["session_name"],
            row["session_policy"],
        )
        expires = 0.0 if self._knobs.faults.on("credentials-expired") else row["expires"]
        return _Key(row["secret"], True, session, row["token"], expires)

    # -- OpenAPI ---------------------------------------------------------------------------------------------

    def openapi(
        self, ex: Exchange, query: list[tuple[str, str]], form: list[tuple[str, str]], body: bytes
    ) -> Principal:
        """Verify an OpenAPI request. Raises OpenApiError as the gateway answers.

        Source: https://help.aliyun.com/document_detail/48054.html (error codes). The order of the checks is ours.
        """
        if "authorization" in ex.headers:
            return self._acs3(ex, query, body)
        params = dict([*query, *form])
        if "Signature" in params:
            return self._rpc_v1(ex, [*query, *form], params)
        raise OpenApiError(
            400,
            "MissingAccessKeyId" if "AccessKeyId" not in params else "MissingSignature",
            f"{'Signature' if 'AccessKeyId' in params else 'AccessKeyId'} is mandatory for this action.",
        )

    def _acs3(self, ex: Exchange, query: list[tuple[str, str]], body: bytes) -> Principal:
        ex.note(signature="ACS3-HMAC-SHA256")
        sent = acs3.parse_authorization(ex.headers["authorization"])
        if sent is None:
            raise OpenApiError(
                400, "IncompleteSignature", "The request signature does not conform to standards."
            )
        ex.note(signed={"headers": list(sent.signed_headers), "key": sent.access_key_id})
        key = self._openapi_key(sent.access_key_id)
        self._openapi_clock(ex.headers.get("x-acs-date", ""))
        self._openapi_token(key, ex.headers.get("x-acs-security-token", ""))
        must = {name for name in ex.headers if name.startswith("x-acs-")} | {"host"}
        if body:
            must |= {"content-type"} & set(ex.headers)  # it decides whether the body holds parameters
        unsigned = sorted(must - set(sent.signed_headers))
        body_hash = hashlib.sha256(body).hexdigest()
        text = acs3.string_to_sign(
            acs3.canonical_request(
                ex.method,
                ex.path,
                query,
                ex.headers,
                sent.signed_headers,
                ex.headers.get("x-acs-content-sha256", ""),
            )
        )
        ex.notes["signed"]["text"] = text
        if unsigned:
            raise OpenApiError(
                400,
                "IncompleteSignature",
                f"The request signature does not conform to standards. server string to sign is:{text}",
            )
        good = _same(acs3.sign(key.secret, text), sent.signature)
        if not good or not _same(ex.headers.get("x-acs-content-sha256", ""), body_hash):
            raise _openapi_mismatch(text)
        self._use_nonce(sent.access_key_id, ex.headers.get("x-acs-signature-nonce", ""))
        return key.principal

    def _rpc_v1(self, ex: Exchange, pairs: list[tuple[str, str]], params: Mapping[str, str]) -> Principal:
        ex.note(signature="HMAC-SHA1 (RPC)")
        # No text: it holds the security token, encoded twice.
        signed = sorted(name for name in params if name != "Signature")
        ex.note(signed={"parameters": signed, "key": params.get("AccessKeyId", "")})
        if len(params) != len(pairs):
            raise OpenApiError(400, "InvalidParameter", "A parameter is given more than once.")
        if params.get("SignatureMethod") != "HMAC-SHA1" or params.get("SignatureVersion") != "1.0":
            raise OpenApiError(
                400, "IncompleteSignature", "The request signature does not conform to standards."
            )
        key = self._openapi_key(params.get("AccessKeyId", ""))
        self._openapi_clock(params.get("Timestamp", ""))
        self._openapi_token(key, params.get("SecurityToken", ""))
        text = rpc_v1.string_to_sign(ex.method, pairs)
        if not _same(rpc_v1.sign(key.secret, text), params["Signature"]):
            raise _openapi_mismatch(text)
        self._use_nonce(params["AccessKeyId"], params.get("SignatureNonce", ""))
        return key.principal

    def _openapi_key(self, access_key_id: str) -> _Key:
        key = self._key(access_key_id)
        if key is None:
            raise OpenApiError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if not key.active:
            raise OpenApiError(400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
        return key

    def _openapi_clock(self, date: str) -> None:
        if not _ISO.fullmatch(date):
            raise OpenApiError(
                400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."
            )
        try:
            sent = calendar.timegm(time.strptime(date, "%Y-%m-%dT%H:%M:%SZ"))
        except ValueError:
            raise OpenApiError(
                400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted."
            ) from None
        if abs(sent - self._now()) > MAX_SKEW_SECONDS:
            raise OpenApiError(
                400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."
            )

    def _openapi_token(self, key: _Key, token: str) -> None:
        if not key.token:
            if token:
                raise OpenApiError(
                    400,
                    "InvalidSecurityToken.MismatchWithAccessKey",
                    "Specified SecurityToken mismatch with the AccessKey.",
                )
            return
        if not token:
            raise OpenApiError(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.")
        unknown = self._knobs.faults.on("token-invalid")
        if unknown or not _same(token, key.token):
            if unknown or self._store.one("SELECT 1 FROM sts_sessions WHERE token=?", token) is None:
                raise OpenApiError(
                    400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed."
                )
            raise OpenApiError(
                400,
                "InvalidSecurityToken.MismatchWithAccessKey",
                "Specified SecurityToken mismatch with the AccessKey.",
            )
        if key.expires <= self._now():
            raise OpenApiError(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")

    def _use_nonce(self, access_key_id: str, nonce: str) -> None:
        """Refuse a nonce used before in the window; only requests with a good signature use one up."""
        if not nonce:
            raise OpenApiError(400, "MissingSignatureNonce", "SignatureNonce is mandatory for this action.")
        used = self._store.run(
            "INSERT INTO nonces VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            access_key_id,
            nonce,
            time.time() + 2 * MAX_SKEW_SECONDS,
        )
        if not used:
            raise OpenApiError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")

    # -- OSS -------------------------------------------------------------------------------------------------

    def oss(
        self, ex: Exchange, bucket: str, key: str, query: list[tuple[str, str]], region_id: str
    ) -> Principal | None:
        """Verify an OSS request; None: anonymous. Raises OssError as OSS answers.

        `region_id` is the region whose endpoint was asked (empty: the sandbox's own address, any region).
        Source: https://help.aliyun.com/en/oss/user-guide/0002-00000007 and its siblings.
        """
        header = ex.headers.get("authorization")
        params = dict(query)
        presigned = "Signature" in params or "x-oss-signature" in params
        if header is None and not presigned:
            return None
        if header is not None and presigned:
            raise OssError(
                400, "InvalidArgument", "The request carries a signature both in its header and in its URL."
            )
        if header is not None and header.startswith(oss_v4.ALGORITHM):
            return self._oss_v4_header(ex, bucket, key, query, region_id)
        if header is not None and header.startswith("OSS "):
            return self._oss_v1_header(ex, bucket, key, query)
        if header is not None:
            raise OssError(400, "InvalidArgument", "Authorization header is invalid.", ec="0002-00000001")
        if "x-oss-signature" in params:
            return self._oss_v4_url(ex, bucket, key, query, params, region_id)
        return self._oss_v1_url(ex, bucket, key, query, params)

    def _oss_v1_header(self, ex: Exchange, bucket: str, key: str, query: list[tuple[str, str]]) -> Principal:
        ex.note(signature="OSS V1 (HMAC-SHA1)")
        self._knobs.faults.refuse_v1(ex)
        sent = oss_v1.parse_authorization(ex.headers["authorization"])
        if sent is None:
            raise OssError(400, "InvalidArgument", "Authorization header is invalid.", ec="0002-00000001")
        _note_oss_v1(
            ex, bucket, key, query, sent[0], ex.headers.get("x-oss-date") or ex.headers.get("date", "")
        )
        known = self._oss_key(sent[0])
        date = ex.headers.get("x-oss-date") or ex.headers.get("date", "")
        sent_at = http_date(date)
        if sent_at is None:
            raise OssError(403, "AccessDenied", "OSS authentication requires a valid Date.")
        self._oss_clock(sent_at)
        self._oss_token(known, ex.headers.get("x-oss-security-token", ""))
        text = oss_v1.string_to_sign(
            ex.method, ex.headers, date, oss_v1.canonical_resource(bucket, key, query)
        )
        _oss_compare(oss_v1.sign(known.secret, text), sent[1], sent[0], text)
        return known.principal

    def _oss_v1_url(
        self, ex: Exchange, bucket: str, key: str, query: list[tuple[str, str]], params: Mapping[str, str]
    ) -> Principal:
        ex.note(signature="OSS V1 (URL)")
        self._knobs.faults.refuse_v1(ex)
        access_key_id = params.get("OSSAccessKeyId", "")
        given = [(n, v) for n, v in query if n not in ("Signature", "OSSAccessKeyId", "Expires")]
        _note_oss_v1(ex, bucket, key, given, access_key_id, params.get("Expires", ""))
        known = self._oss_key(access_key_id)
        expires = params.get("Expires", "")
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            raise OssError(403, "AccessDenied", "Invalid date (should be seconds since epoch): Expires.")
        if int(expires) < self._now():
            raise OssError(403, "AccessDenied", "Request has expired.")
        self._oss_token(known, params.get("security-token", ""))
        signed = [(n, v) for n, v in query if n not in ("Signature", "OSSAccessKeyId", "Expires")]
        text = oss_v1.string_to_sign(
            ex.method, ex.headers, expires, oss_v1.canonical_resource(bucket, key, signed)
        )
        _oss_compare(oss_v1.sign(known.secret, text), params["Signature"], access_key_id, text)
        return known.principal

    def _oss_v4_header(
        self, ex: Exchange, bucket: str, key: str, query: list[tuple[str, str]], region_id: str
    ) -> Principal:
        ex.note(signature="OSS V4 (OSS4-HMAC-SHA256)")
        sent = oss_v4.parse_authorization(ex.headers["authorization"])
        if sent is None:
            raise OssError(400, "InvalidArgument", "Authorization header is invalid.", ec="0002-00000001")
        if ex.headers.get("x-oss-content-sha256") != oss_v4.UNSIGNED_PAYLOAD:
            raise OssError(
                400,
                "InvalidArgument",
                "The x-oss-content-sha256 header must be UNSIGNED-PAYLOAD.",
                ec="0002-00000214",
            )
        known = self._oss_key(sent.access_key_id)
        stamp = ex.headers.get("x-oss-date", "")
        self._oss_v4_scope(sent, stamp, region_id)
        self._oss_clock(_compact_time(stamp))
        self._oss_token(known, ex.headers.get("x-oss-security-token", ""))
        self._oss_v4_compare(ex, bucket, key, query, sent, stamp, known)
        return known.principal

    def _oss_v4_url(
        self,
        ex: Exchange,
        bucket: str,
        key: str,
        query: list[tuple[str, str]],
        params: Mapping[str, str],
        region_id: str,
    ) -> Principal:
        ex.note(signature="OSS V4 (URL)")
        credential = oss_v4.parse_credential(params.get("x-oss-credential", ""))
        if credential is None or params.get("x-oss-signature-version") != oss_v4.ALGORITHM:
            raise OssError(400, "InvalidArgument", "The signature parameters of the URL are invalid.")
        extra = tuple(sorted(h.lower() for h in params.get("x-oss-additional-headers", "").split(";") if h))
        sent = oss_v4.Authorization(*credential, params["x-oss-signature"], extra)
        known = self._oss_key(sent.access_key_id)
        stamp = params.get("x-oss-date", "")
        self._oss_v4_scope(sent, stamp, region_id)
        lifetime = params.get("x-oss-expires", "")
        if not lifetime.isascii() or not lifetime.isdigit() or not 1 <= int(lifetime) <= 604_800:
            raise OssError(400, "InvalidArgument", "x-oss-expires must be between 1 and 604800 seconds.")
        start = _compact_time(stamp)
        if start - MAX_SKEW_SECONDS > self._now() or start + int(lifetime) < self._now():
            raise OssError(403, "AccessDenied", "Request has expired.")
        self._oss_token(known, params.get("x-oss-security-token", ""))
        signed = [(n, v) for n, v in query if n != "x-oss-signature"]
        self._oss_v4_compare(ex, bucket, key, signed, sent, stamp, known)
        return known.principal

    def _oss_v4_scope(self, sent: oss_v4.Authorization, stamp: str, region_id: str) -> None:
        if not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or stamp[:8] != sent.date:
            raise OssError(
                400, "InvalidArgument", "Invalid date in Authorization header.", ec="0002-00000224"
            )
        if region_id and sent.region_id != region_id:
            raise OssError(
                400, "InvalidArgument", "Invalid signing region in Authorization header.", ec="0002-00000226"
            )

    def _oss_v4_compare(
        self,
        ex: Exchange,
        bucket: str,
        key: str,
        query: Iterable[tuple[str, str]],
        sent: oss_v4.Authorization,
        stamp: str,
        known: _Key,
    ) -> None:
        extra = {*oss_v4.ALWAYS_SIGNED, *sent.additional_headers}
        signed = sorted(n for n in ex.headers if n.startswith("x-oss-") or n in extra)
        ex.note(signed={"headers": signed, "key": sent.access_key_id, "scope": sent.scope})
        canonical = oss_v4.canonical_request(
            ex.method, bucket, key, query, ex.headers, sent.additional_headers
        )
        text = oss_v4.string_to_sign(canonical, stamp, sent.scope)
        ex.notes["signed"]["text"] = text
        good = oss_v4.sign(known.secret, text, sent.date, sent.region_id)
        _oss_compare(good, sent.signature, sent.access_key_id, text, canonical)

    def _oss_key(self, access_key_id: str) -> _Key:
        key = self._key(access_key_id)
        if key is None or not key.active:
            what = "is disabled" if key is not None else "does not exist in our records"
            raise OssError(
                403,
                "InvalidAccessKeyId",
                f"The OSS Access Key Id you provided {what}.",
                ec="0002-00000902",
                extra={"OSSAccessKeyId": access_key_id},
            )
        return key

    def _oss_clock(self, sent: float) -> None:
        now = self._now()
        if abs(sent - now) > MAX_SKEW_SECONDS:
            iso = "%Y-%m-%dT%H:%M:%S.000Z"
            raise OssError(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                ec="0002-00000504",
                extra={
                    "MaxAllowedSkewMilliseconds": str(MAX_SKEW_SECONDS * 1000),
                    "RequestTime": time.strftime(iso, time.gmtime(sent)),
                    "ServerTime": time.strftime(iso, time.gmtime(now)),
                },
            )

    def _oss_token(self, key: _Key, token: str) -> None:
        if not key.token:
            if token:
                raise OssError(
                    403,
                    "InvalidSecurityToken",
                    "The security token you provided is invalid.",
                    ec="0002-00000006",
                )
            return
        if not token:
            # Code, message and EC as seen: https://github.com/lucky1213/aliyun_oss/issues/19
            raise OssError(
                403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records. "
                "The Security Token may be lost to specify that it is a STS Access Id.",
                ec="0002-00000003", extra={"OSSAccessKeyId": key.principal.access_key_id},
            )  # fmt: skip
        unknown = self._knobs.faults.on("token-invalid")
        if unknown or not _same(token, key.token):
            if unknown or self._store.one("SELECT 1 FROM sts_sessions WHERE token=?", token) is None:
                raise OssError(
                    403,
                    "InvalidSecurityToken",
                    "The security token you provided is invalid.",
                    ec="0002-00000006",
                )
            raise OssError(
                403,
                "AccessKeyIdAndSecurityTokenNotMatch",
                "The OSS access key id and security token you provided does not match.",
                ec="0002-00000004",
            )
        if key.expires <= self._now():
            raise OssError(
                403,
                "SecurityTokenExpired",
                "The security token you provided has expired.",
                ec="0002-00000007",
            )


def _note_oss_v1(
    ex: Exchange, bucket: str, key: str, query: list[tuple[str, str]], access_key_id: str, date: str
) -> None:
    """Write into the journal what V1 signs, with the security token masked."""
    headers = {name: masked(name, value) for name, value in ex.headers.items()}
    shown = [(name, masked(name, value)) for name, value in query]
    text = oss_v1.string_to_sign(ex.method, headers, date, oss_v1.canonical_resource(bucket, key, shown))
    signed = sorted(
        n for n in headers if n.startswith("x-oss-") or n in ("content-md5", "content-type", "date")
    )
    ex.note(signed={"headers": signed, "key": access_key_id, "text": text})


def _same(a: str, b: str) -> bool:
    """Compare in constant time, whatever the characters."""
    return hmac.compare_digest(a.encode(), b.encode())


def _openapi_mismatch(text: str) -> OpenApiError:
    # The official Go SDK compares the suffix with its own string to tell a wrong secret from a bug.
    return OpenApiError(
        400,
        "SignatureDoesNotMatch",
        f"Specified signature is not matched with our calculation. server string to sign is:{text}",
    )


def _compact_time(stamp: str) -> float:
    try:
        return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise OssError(
            400, "InvalidArgument", "Invalid date in Authorization header.", ec="0002-00000224"
        ) from None


def _oss_compare(good: str, sent: str, access_key_id: str, text: str, canonical: str = "") -> None:
    if _same(good, sent):
        return
    extra = {
        "OSSAccessKeyId": access_key_id,
        "SignatureProvided": sent,
        "StringToSign": text,
        "StringToSignBytes": text.encode().hex(" ").upper(),
    }
    if canonical:
        extra["CanonicalRequest"] = canonical
    raise OssError(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        ec="0002-00000040",
        extra=extra,
    )


def basic_user(header: str) -> tuple[str, str] | None:
    """Return (user, password) of a Basic authorization header, or None."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return user, password
