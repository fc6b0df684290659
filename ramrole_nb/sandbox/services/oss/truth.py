"""What each of OSS's operations does, and what that rests on: rows for the list in `coverage.py`.

(service, operation, behaviour, basis, source): `documentation` and `client` name an address, `ours` a reason.
"""

from __future__ import annotations

__all__ = ["NEW", "ROWS"]

Row = tuple[str, str, str, str, str]

_DOC, _CLIENT, _OURS = "documentation", "client", "ours"
_REPO = "https://github.com/AlibabaCloudDocs/oss"
_API = f"{_REPO} (API reference)"
_BUCKETS = f"{_REPO} (API reference, bucket operations)"
_MULTIPART = f"{_REPO} (API reference, multipart upload)"
_TAGGING = f"{_REPO} (API reference, tagging)"
_400 = f"{_REPO} (troubleshooting, HTTP 400)"
_404 = f"{_REPO} (troubleshooting, HTTP 404)"
_409 = f"{_REPO} (troubleshooting, HTTP 409)"
_ACTIONS = f"{_REPO} (RAM policy overview, table of actions)"
_GRAMMAR = "https://www.alibabacloud.com/help/en/oss/user-guide/authorization-syntax-and-elements"
_CONSOLE = f"{_REPO} (console user guide, Configure bucket policies)"
_BUCKET_POLICY = "https://help.aliyun.com/en/oss/user-guide/bucket-policy/"
_TAG_UPLOAD = "https://help.aliyun.com/en/oss/developer-reference/configure-object-tagging-3"
_SESSION_EC = "https://alibabacloud.com/help/en/oss/support/0003-00000301"
_GET_POLICY = "https://www.alibabacloud.com/help/en/oss/developer-reference/getbucketpolicy"
_COPY_PART = "https://alibabacloud.com/help/doc-detail/31994.htm"
_COPY_SDK = "https://help.aliyun.com/en/oss/developer-reference/v2-copy-file/"
_OSS2 = "https://github.com/aliyun/aliyun-oss-python-sdk (oss2 2.19.1)"
_NO_TEXT = "no source found for the code or the text"
_NO_RULE = "no source says what OSS does here"
_ONE_CLASS = (
    "the sandbox has one storage class and no encryption, versions or callbacks: refused, never ignored"
)

_BY_OPERATION: dict[str, tuple[tuple[str, str, str], ...]] = {
    "PutBucket": (
        (
            _DOC,
            "Region of the endpoint asked; x-oss-acl; StorageClass, DataRedundancyType; needs oss:PutBucket",
            _BUCKETS,
        ),
        (
            _DOC,
            "100 buckets in a region: TooManyBuckets; a storage class nobody knows: InvalidArgument",
            _400,
        ),
        (_DOC, "BucketAlreadyExists for a changed region or storage class", _409),
        (
            _OURS,
            "Asked again unchanged: 200, and an ACL that is named is set",
            "the errors are documented for changes only",
        ),
        (
            _OURS,
            "On the sandbox's own address the region of the V4 signature, else cn-hangzhou",
            "that address is in no region",
        ),
        (_OURS, "Other classes than Standard, ZRS, hierarchical names, resource groups: 501", _ONE_CLASS),
    ),
    "DeleteBucket": (
        (_DOC, "204; needs oss:DeleteBucket; NoSuchBucket", _BUCKETS),
        (_DOC, "BucketNotEmpty with objects or parts in it", _409),
        (_OURS, "An upload without parts counts as content", _NO_RULE),
    ),
    "GetBucketAcl": ((_DOC, "Elements; needs oss:GetBucketAcl", _BUCKETS),),
    "PutBucketAcl": (
        (
            _DOC,
            "private, public-read, public-read-write; else InvalidArgument; needs oss:PutBucketAcl",
            _BUCKETS,
        ),
        (
            _OURS,
            "Without the header 400; a bucket that is not there is not created",
            "a page of 2021 says otherwise, about a side effect",
        ),
    ),
    "GetBucketPolicy": ((_DOC, "The document as it was put, as JSON; NoSuchBucketPolicy", _GET_POLICY),),
    "PutBucketPolicy": (
        (_DOC, "Grammar, with Principal a list of UIDs or *; an Allow grants, a Deny wins", _GRAMMAR),
        (
            _DOC,
            "At most 16 KB; a role session is arn:sts::ACCOUNT:assumed-role/ROLE/SESSION, with wildcards",
            _CONSOLE,
        ),
        (_DOC, "acs:SourceIp only together with acs:SourceVpc", _BUCKET_POLICY),
        (_OURS, "InvalidPolicyDocument", _NO_TEXT),
        (_OURS, "The role's id names its sessions", _NO_RULE),
        (_OURS, "The account's own UID does not stand for its RAM users", _NO_RULE),
    ),
    "DeleteBucketPolicy": (
        (_DOC, "Needs oss:DeleteBucketPolicy; 204", _GRAMMAR),
        (_OURS, "Deleting none is no error", _NO_RULE),
    ),
    "GetBucketStat": (
        (_CLIENT, "Elements; needs oss:GetBucketStat", _OSS2),
        (_OURS, "Exact at once", "the real numbers lag"),
    ),
    "CopyObject": (
        (_DOC, "Needs oss:GetObject on the source and oss:PutObject on the target", _ACTIONS),
        (
            _DOC,
            "Conditions on the source: 412 and 304; metadata and tagging directives; x-oss-forbid-overwrite",
            _API,
        ),
        (_DOC, "Onto itself only the metadata change, and those are the request's", _API),
        (_DOC, "A source that names no object: InvalidArgument", _400),
        (_DOC, "Sources up to 5 GiB (older pages: 1 GB)", _COPY_SDK),
        (_OURS, "Append objects are not copied to another name: 400 OperationNotSupported", _NO_TEXT),
        (_OURS, "Another region: 403 AccessDenied", _NO_TEXT),
        (_OURS, "The copy of a multipart object is a normal one, its ETag the MD5", _NO_RULE),
        (_OURS, "Onto itself an ACL that is not named stays", _NO_RULE),
        (_OURS, "Encryption, versions: 501", _ONE_CLASS),
    ),
    "AppendObject": (
        (_DOC, "x-oss-next-append-position and CRC; position, ObjectNotAppendable, at most 5 GB", _API),
        (_DOC, "PositionNotEqualToLength, with the right position in a header", _409),
        (_DOC, "Needs oss:PutObject", _ACTIONS),
        (_OURS, "The ETag only changes each time", "the documents show one that is no MD5 and say no more"),
        (_OURS, "User metadata on a later append: 400 InvalidArgument", _NO_TEXT),
    ),
    "DeleteMultipleObjects": (
        (_DOC, "1000 names, 2 MB, Quiet, encoding-type; Content-MD5 is a must", _API),
        (_DOC, "MalformedXML, InvalidDigest, MissingArgument", _400),
        (
            _OURS,
            "oss:DeleteObject on every name; one refusal refuses all",
            "no element is documented for a single refusal",
        ),
    ),
    "GetObjectAcl": (
        (_DOC, "default, private, public-read, public-read-write; needs oss:GetObjectAcl", _API),
    ),
    "PutObjectAcl": (
        (_DOC, "An object's ACL goes before its bucket's; needs oss:PutObjectAcl", _API),
        (_OURS, "Without the header, or another value: 400 InvalidArgument", _NO_TEXT),
    ),
    "GetObjectTagging": ((_DOC, "Elements; needs oss:GetObjectTagging", _TAGGING),),
    "PutObjectTagging": (
        (_DOC, "10 tags, 128 and 256 bytes, characters; Last-Modified stays", _TAGGING),
        (_DOC, "InvalidTag, RepeatedTags, and InvalidArgument for x-oss-tagging", _400),
        (_DOC, "oss:ExistingObjectTag and oss:RequestObjectTag in conditions", _GRAMMAR),
        (_OURS, "More than 10 tags: 400 BadRequest", _NO_TEXT),
    ),
    "DeleteObjectTagging": ((_DOC, "204; needs oss:DeleteObjectTagging", _TAGGING),),
    "InitiateMultipartUpload": (
        (
            _DOC,
            "Elements, encoding-type; metadata, tags, x-oss-forbid-overwrite; needs oss:PutObject",
            _MULTIPART,
        ),
        (_OURS, "Encryption, other storage classes: 501", _ONE_CLASS),
    ),
    "UploadPart": (
        (
            _DOC,
            "Part numbers 1 to 10000, replaced when sent again; ETag is the MD5; InvalidDigest",
            _MULTIPART,
        ),
        (_DOC, "NoSuchUpload", _404),
        (_CLIENT, "The part's CRC in x-oss-hash-crc64ecma", _OSS2),
    ),
    "UploadPartCopy": (
        (
            _DOC,
            "Range; one that does not fit copies the whole; Content-Range; conditions on the source",
            _MULTIPART,
        ),
        (_DOC, "Needs oss:GetObject on the source and oss:PutObject on the target", _COPY_PART),
        (_OURS, "Append objects: 400 OperationNotSupported", _NO_TEXT),
    ),
    "CompleteMultipartUpload": (
        (
            _DOC,
            "Parts of 100 KB but the last, in ascending order; x-oss-complete-all; x-oss-forbid-overwrite",
            _MULTIPART,
        ),
        (_DOC, "InvalidPart, InvalidPartOrder, EntityTooSmall, MalformedXML", _400),
        (_CLIENT, "The CRC is that of the whole object", _OSS2),
        (
            _OURS,
            "The ETag is the MD5 of the parts' MD5s and their number",
            "the documents call it a UUID; this form is what is commonly seen",
        ),
    ),
    "AbortMultipartUpload": (
        (_DOC, "204, parts removed; NoSuchUpload; needs oss:AbortMultipartUpload", _MULTIPART),
    ),
    "ListParts": (
        (_DOC, "By number; max-parts, part-number-marker, encoding-type; needs oss:ListParts", _MULTIPART),
    ),
    "ListMultipartUploads": (
        (_DOC, "By name, then id; markers, prefix, delimiter; needs oss:ListMultipartUploads", _MULTIPART),
    ),
    "PutObject": (
        (_DOC, "x-oss-object-acl, x-oss-tagging, user metadata up to 8 KB", _API),
        (_DOC, "Tags in an upload need oss:PutObjectTagging too", _TAG_UPLOAD),
        (_DOC, "A CRC that is sent is checked: InvalidCRC64", _400),
        (_OURS, "Too much metadata, or a name with other characters: 400 InvalidArgument", _NO_TEXT),
        (_OURS, "If-Match and its kin on a write: 501", "they are documented for reading only"),
    ),
    "GetObject": (
        (_DOC, "Object ACL before bucket ACL, for anonymous callers too", _API),
        (_DOC, "Bucket policies count, a Deny first", _GRAMMAR),
        (_DOC, "x-oss-tagging-count, for who may read the tags", _API),
        (_DOC, "A session policy that is too small: EC 0003-00000301", _SESSION_EC),
        (_OURS, "x-oss-process, versionId, symlink, traffic limits: 501", _ONE_CLASS),
    ),
    "HeadObject": ((_DOC, "x-oss-next-append-position of an append object", _API),),
}

ROWS: tuple[Row, ...] = tuple(
    ("Oss", operation, behaviour, basis, source)
    for operation, rows in _BY_OPERATION.items()
    for basis, behaviour, source in rows
)

#: Operations that `coverage.py` did not list before; of the others it already has rows, and these are more.
NEW = frozenset(_BY_OPERATION) - {"PutObject", "GetObject", "HeadObject"}
