"""Buckets and objects: look around, upload, download; signed V4, region and endpoint chosen for you.

Sources: https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4 (V1 is refused
to new accounts), https://alibabacloud.com/help/en/oss/user-guide/regions-and-endpoints.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from ..errors import AccessDenied, BadSignature, InputError, NotFound, RamroleError, nearest
from ..models import BucketInfo, ObjectInfo, StsCredentials
from ..render import html_card
from .calls import Calls
from .context import Change, Context
from .found import DownloadedFile, Listing
from .sdk import oss_bucket, oss_service
from .showing import ServiceTable

if TYPE_CHECKING:
    from ..jobs import Job
    from .instances import BoundInstance
    from .transfer import UploadResult

__all__ = ["BoundBucket", "Buckets", "DownloadedFile", "Listing"]

T = TypeVar("T")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# Expired by the service's clock; or of a sandbox that was put back since, by a terminal.
_CREDENTIAL_IS_OVER = ("SecurityTokenExpired", "InvalidSecurityToken", "InvalidAccessKeyId")


class BoundBucket:
    """A bucket, and the identity its requests are signed with (the session's, or an instance's role)."""

    def __init__(
        self, context: Context, name: str, info: BucketInfo | None = None, vm: BoundInstance | None = None
    ) -> None:
        self._context = context
        self.name = name
        self._info = info
        self._vm = vm
        self._region = info.region_id if info else context.region_id
        provider = vm.provider() if vm is not None else context.calls.provider
        caller = f"role on {vm.name or vm.instance_id}" if vm is not None else context.calls.caller
        self._calls = Calls(context.endpoints, context.region_id, provider, context.wire, caller)
        self._client: Any = None
        self._lock = threading.Lock()

    def using(self, vm: BoundInstance | None) -> BoundBucket:
        """Return the bucket as seen from an instance: signed with its role, over the internal endpoint in its region."""
        return BoundBucket(self._context, self.name, self._info, vm)

    @property
    def region_id(self) -> str:
        """The bucket's region, as far as it is known yet."""
        return self._region

    @property
    def endpoint(self) -> str:
        """The endpoint requests go to."""
        return self._context.endpoints.oss(self._region, internal=self._internal)

    @property
    def _internal(self) -> bool:
        return self._vm is not None and self._vm.region_id == self._region

    def client(self) -> Any:
        """Return the oss2.Bucket behind this one, for whatever is not offered here."""
        with self._lock:
            if self._client is None:
                proxy = (
                    self._context.endpoints.metadata_proxy(self._vm.instance_id)
                    if self._vm is not None
                    else ""
                )
                self._client = oss_bucket(
                    self._context.endpoints,
                    self._region,
                    self.name,
                    self._calls.provider,
                    internal=self._internal,
                    proxy=proxy,
                )
            return self._client

    def run(self, action: str, params: Mapping[str, Any], use: Callable[[Any], T]) -> T:
        """Run a call; go once to the region the service names, and renew an expired credential once."""

        def call() -> T:
            where = {"bucket": self.name, "region_id": self._region, "internal": self._internal}
            return self._calls.oss(action, {**where, **params}, lambda: use(self.client()))

        try:
            return call()
        except AccessDenied as error:
            endpoint = str(error.access_denied_detail.get("Endpoint", ""))
            found = re.match(r"oss-([a-z0-9-]+?)(?:-internal)?\.aliyuncs\.com", endpoint)
            if not found or found[1] == self._region:
                raise
            with self._lock:
                self._region, self._client = found[1], None
        except BadSignature as error:
            if error.code not in _CREDENTIAL_IS_OVER or self._vm is None:
                raise
            self._vm.provider().refresh()
        return call()

    # -- looking ---------------------------------------------------------------------------------------------

    def info(self) -> BucketInfo:
        """Return what OSS tells of the bucket (oss:GetBucketInfo)."""
        found = self.run("GetBucketInfo", {}, lambda bucket: bucket.get_bucket_info())
        return BucketInfo(
            name=found.name,
            region_id=found.location.removeprefix("oss-"),
            location=found.location,
            extranet_endpoint=found.extranet_endpoint,
            intranet_endpoint=found.intranet_endpoint,
            storage_class=found.storage_class,
            acl=found.acl.grant,
            created=found.creation_date,
        )

    def list(self, prefix: str = "", *, delimiter: str = "/", limit: int = 1000) -> Listing:
        """Return up to `limit` objects and folders below `prefix` (`delimiter` empty: no folders; oss:ListObjects)."""
        if prefix.startswith("/"):
            raise InputError(
                f"A prefix does not begin with a slash: {prefix!r}.", next_step=f"try {prefix.lstrip('/')!r}"
            )
        objects: list[ObjectInfo] = []
        folders: list[str] = []
        token = ""
        while True:
            size = min(1000, limit - len(objects) - len(folders))
            ask = functools.partial(
                _list_page, prefix=prefix, delimiter=delimiter, continuation_token=token, max_keys=size
            )
            page = self.run("ListObjectsV2", {"prefix": prefix, "delimiter": delimiter}, ask)
            objects += [
                ObjectInfo(
                    self.name,
                    row.key,
                    row.size,
                    row.etag,
                    _moment(row.last_modified),
                    storage_class=row.storage_class,
                )
                for row in page.object_list
            ]
            folders += page.prefix_list
            token = page.next_continuation_token or ""
            more = bool(page.is_truncated and token)
            if not more or len(objects) + len(folders) >= limit:
                return Listing(self.name, prefix, tuple(objects), tuple(folders), more)

    def head(self, key: str) -> ObjectInfo:
        """Return an object's metadata (oss:GetObject)."""
        _check_key(key)
        found = self.run("HeadObject", {"key": key}, lambda bucket: bucket.head_object(key))
        return ObjectInfo(
            self.name,
            key,
            found.content_length,
            found.etag,
            _moment(found.last_modified),
            found.content_type or "",
            found.headers.get("x-oss-storage-class", ""),
            str(found.headers.get("x-oss-hash-crc64ecma", "")),
        )

    # -- moving ----------------------------------------------------------------------------------------------

    def download(
        self,
        key: str,
        to: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
        cancel: Callable[[], bool] | threading.Event | None = None,
    ) -> DownloadedFile:
        """Download an object and return its path; a notebook shows it.

        `to`: a file or a folder (None: the key's last part in the current folder). The file appears only once length and
        CRC64 are right; an existing one is left alone unless `overwrite`. `progress(done, total)` in bytes; `cancel`
        returns true to stop. Raises InputError, AccessDenied, NotFound, IntegrityError, Cancelled.
        """
        from .transfer import download

        _check_key(key)
        try:
            result = self.run(
                "GetObject",
                {"key": key},
                lambda bucket: download(
                    bucket, key, to, overwrite=overwrite, progress=progress, cancel=cancel
                ),
            )
        except NotFound as error:
            error.what += self._nearest_key(error, key)
            raise
        path = DownloadedFile(result.path)
        path.size, path.crc64, path.seconds = result.size, str(result.crc64), result.seconds
        path.verified, path.request_id = result.verified, result.request_id
        return path

    def _nearest_key(self, error: NotFound, key: str) -> str:
        """Return a hint at a key that is almost this one, where the caller may look around; else an empty text."""
        if error.code != "NoSuchKey":
            return ""
        prefix = key[: key.rfind("/") + 1]
        keys: list[str] = []
        for place in dict.fromkeys(
            (prefix, "")
        ):  # its folder; then, as a folder's case may be wrong too, all
            with contextlib.suppress(RamroleError), self._calls.checking():
                keys += [found.key for found in self.list(place, delimiter="" if not place else "/")]
        same = [known for known in keys if known.lower() == key.lower()]
        return f" Did you mean {same[0]!r}?" if same else nearest(key, keys)

    def start_download(
        self, key: str, to: str | os.PathLike[str] | None = None, *, overwrite: bool = False
    ) -> Job[DownloadedFile]:
        """Download in the background: a Job with progress, cancel and result."""
        from ..jobs import Job, JobContext

        def work(job: JobContext) -> DownloadedFile:
            return self.download(
                key, to, overwrite=overwrite, progress=job.progress, cancel=lambda: job.cancelled
            )

        return Job.run(work, name=f"download {key}")

    def upload(
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        key: str = "",
        *,
        overwrite: bool = False,
        content_type: str | None = None,
        progress: Callable[[int, int | None], None] | None = None,
        cancel: Callable[[], bool] | threading.Event | None = None,
    ) -> UploadResult:
        """Upload a file, or bytes, as `key` (empty: the file's name), checked by CRC64 (oss:PutObject).

        An object of that key stays as it is unless `overwrite`; one that was there before is not taken for created, so a
        clean-up leaves it. Raises InputError, Conflict, AccessDenied, IntegrityError.
        """
        from .transfer import upload

        if not key:
            if not isinstance(source, (str, os.PathLike)):
                raise InputError(
                    "Bytes have no name: say which key they get.", next_step="upload(data, 'folder/name.txt')"
                )
            key = Path(source).name
        _check_key(key)
        context = self._context
        replaces = overwrite and self._exists(key)
        context.before(Change(f"{'replace' if replaces else 'upload'} oss://{self.name}/{key}"))
        created = (
            contextlib.nullcontext()
            if replaces
            else context.creating("object", key, bucket=self.name, region_id=self._region)
        )
        with created:
            return self.run(
                "PutObject",
                {"key": key},
                lambda bucket: upload(
                    bucket,
                    key,
                    source,
                    overwrite=overwrite,
                    content_type=content_type,
                    progress=progress,
                    cancel=cancel,
                ),
            )

    def _exists(self, key: str) -> bool:
        """Tell whether an object is there; where that may not be read, suppose so: nothing of others is cleaned up then."""
        try:
            with self._calls.checking():
                self.head(key)
        except NotFound:
            return False
        except AccessDenied:
            return True
        return True

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error (oss:DeleteObject)."""
        _check_key(key)
        self._context.before(Change(f"delete oss://{self.name}/{key}"))
        self.run("DeleteObject", {"key": key}, lambda bucket: bucket.delete_object(key))
        self._context.gone("object", key, bucket=self.name)

    def held_credentials(self) -> StsCredentials | None:
        """Return the instance credential requests are signed with now (masked when shown); None: the session's own key."""
        return self._vm.credentials() if self._vm is not None else None

    def __repr__(self) -> str:
        who = f" using the role on {self._vm.name or self._vm.instance_id}" if self._vm is not None else ""
        return f"Bucket {self.name} in {self._region}{who}, at {self.endpoint}"

    def _repr_html_(self) -> str:
        who = (
            f"the role on {self._vm.name or self._vm.instance_id}"
            if self._vm is not None
            else self._context.calls.caller
        )
        facts = [
            ("region", self._region),
            ("endpoint", self.endpoint),
            ("signed by", who),
            ("signature", "V4"),
        ]
        return html_card(f"Bucket {self.name}", facts)


class Buckets(ServiceTable):
    """The account's buckets: iterate over them (oss:ListBuckets), or name one."""

    _TITLE, _HEAD, _EMPTY = "Buckets", ("bucket", "region", "class", "created"), "no buckets"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, BucketInfo] | None = None

    def all(self) -> list[BucketInfo]:
        """Return every bucket of the account."""
        context = self._context
        found: list[BucketInfo] = []
        marker = ""
        while True:
            service = oss_service(context.endpoints, context.region_id, context.calls.provider)
            ask = functools.partial(service.list_buckets, marker=marker, max_keys=100)
            page = context.calls.oss("ListBuckets", {}, ask)
            found += [
                BucketInfo(
                    row.name,
                    row.location.removeprefix("oss-"),
                    row.location,
                    row.extranet_endpoint or "",
                    row.intranet_endpoint or "",
                    row.storage_class or "",
                    created=_moment(row.creation_date),
                )
                for row in page.buckets
            ]
            if not page.is_truncated:
                self._known = {info.name: info for info in found}
                return found
            marker = page.next_marker

    def __iter__(self) -> Iterator[BoundBucket]:
        return iter([BoundBucket(self._context, info.name, info) for info in self.all()])

    def __getitem__(self, name: str) -> BoundBucket:
        if not isinstance(name, str) or not _BUCKET_NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is no bucket name.",
                reason="a bucket name is 3 to 63 lower-case letters, digits and '-', beginning and ending with no '-'",
                next_step="name the bucket alone, without oss:// and without a key",
            )
        if self._known is None or name not in self._known:
            try:
                with self._context.calls.checking():
                    self.all()
            except AccessDenied:  # no right to list them: the service itself will say where the bucket is
                return BoundBucket(self._context, name)
        known = self._known or {}
        if name not in known:
            raise NotFound(
                f"There is no bucket {name!r} in this account.{nearest(name, known)}",
                code="NoSuchBucket",
                service="Oss",
                action="ListBuckets",
                status=404,
                reason="a bucket of another account cannot be named here by this session",
                next_step="list them: cloud.buckets",
            )
        return BoundBucket(self._context, name, known[name])

    def _rows(self) -> list[list[str]]:
        return [[info.name, info.region_id, info.storage_class, info.created] for info in self.all()]


def _moment(seconds: Any) -> str:
    import time

    return (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
        if isinstance(seconds, (int, float))
        else str(seconds or "")
    )


def _list_page(bucket: Any, **how: Any) -> Any:
    return bucket.list_objects_v2(**how)


def _check_key(key: str) -> None:
    if not isinstance(key, str) or not key:
        raise InputError("An object needs a key.", next_step="for example 'testfolder/example.png'")
    if key.startswith(("/", "\\")):
        raise InputError(
            f"A key does not begin with a slash: {key!r}.", next_step=f"try {key.lstrip('/' + chr(92))!r}"
        )
    if len(key.encode()) > 1023:
        raise InputError("A key has at most 1023 bytes.", next_step="shorten it")
