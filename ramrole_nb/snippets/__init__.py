r"""The code that does the same as an action just done: Python, shell, Terraform, and the console's steps.

Pure: it asks nobody and loads no SDK.

    >>> from ramrole_nb import snippets
    >>> print(snippets.code(snippets.DeleteRole("EcsRamRole"), "shell"))
    aliyun ram DeleteRole \
      --RoleName EcsRamRole
    <BLANKLINE>
"""

from .actions import (
    Action,
    AttachRole,
    CleanUp,
    CreatePolicy,
    CreateRole,
    DeletePolicy,
    DeleteRole,
    DetachRole,
    DownloadObject,
    FetchCredentials,
    GrantDocument,
    GrantPolicy,
    ListObjects,
    ReplaceRole,
    RevokePolicy,
    SetHardening,
    SetTrust,
    WhoAmI,
)
from .languages import LANGUAGES, all_code, code
from .view import CodeView, show

__all__ = [
    "LANGUAGES",
    "Action",
    "AttachRole",
    "CleanUp",
    "CodeView",
    "CreatePolicy",
    "CreateRole",
    "DeletePolicy",
    "DeleteRole",
    "DetachRole",
    "DownloadObject",
    "FetchCredentials",
    "GrantDocument",
    "GrantPolicy",
    "ListObjects",
    "ReplaceRole",
    "RevokePolicy",
    "SetHardening",
    "SetTrust",
    "WhoAmI",
    "all_code",
    "code",
    "show",
]
