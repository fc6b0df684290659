"""The world `new-account`: the same things as `default`, in an account that Alibaba Cloud treats as new.

What a new account is refused is a matter of the account, not of its contents, so it is data in the state:

1. OSS signature V1: refused to accounts made from 2025-03-01 on, and to new buckets from 2025-09-01 on.
   Source: https://alibabacloud.com/en/notice/notice_on_the_discontinuation_of_the_oss_v1_signature_algorithm_40f
2. Data operations on the public endpoints of mainland regions: refused to who began to use OSS from 2025-03-20 on.
   Source: https://www.alibabacloud.com/help/en/oss/user-guide/0048-00000401
"""

from __future__ import annotations

__all__ = ["ACCOUNT"]

ACCOUNT = {"oss_signature_v1": "refused", "oss_public_endpoint": "mainland-closed"}
