"""Texts that a decoder could choke on. Run as a program it explains one of them and prints what that cost."""

from __future__ import annotations

import base64
import json
import random
import resource
import sys
import time
from collections.abc import Callable

import ramrole_nb as rr

rnd = random.Random(7)
M = 1_000_000
CASES: dict[str, Callable[[], str | bytes]] = {
    "noise": lambda: rnd.randbytes(M),
    "printable noise": lambda: "".join(map(chr, (32 + b % 95 for b in rnd.randbytes(M)))),
    "invalid UTF-8": lambda: b"\xff\xc0\xed\xa0\x80Code: " * (M // 12),
    "half characters": lambda: "\ud800Code: NoSuch" * (M // 20),
    "deep JSON": lambda: '{"Code":' * (M // 8),
    "deep lists": lambda: "[" * M,
    "deep XML": lambda: "<Error>" * (M // 7),
    "billion laughs": lambda: (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">'
        + "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
        + "]><Error><Code>&l11;</Code></Error>"
    ),
    "huge base64": lambda: base64.b64encode(b"<?xml version='1.0'?><Error>" + b"A" * M).decode(),
    "beginnings of base64": lambda: "PD94bWwg" * (M // 8),
    "space after a label": lambda: "Code:" + " " * M,
    "labels without values": lambda: "Code: " * (M // 6),
    "open quotes": lambda: '"Code": "' * (M // 9),
    "one letter": lambda: "a" * M,
    "dotted words": lambda: "Aaa." * (M // 4),
    "host-like": lambda: "a-." * (M // 3),
    "backslashes": lambda: "\\" * M,
    "entities of entities": lambda: "&amp;lt;" * (M // 8),
    "half URLs": lambda: "http://a:" * (M // 9),
    "half tokens": lambda: 'SecurityToken: "' * (M // 16),
    "half headers": lambda: "Authorization: OSS " * (M // 19),
    "hex": lambda: "4C " * (M // 3),
    "many secrets": lambda: "\n".join(f"AccessKeySecret: {rnd.getrandbits(160):x}" for _ in range(M // 60)),
    "large secrets": lambda: "\n".join(f'SecurityToken: "{"x1%+/" * 1500}{i}"' for i in range(M // 8000)),
    "newlines": lambda: "\n" * M,
    "escapes": lambda: "\x1b[" * (M // 2),
    "NULs": lambda: b"\0" * M,
    "almost a page of the metadata service": lambda: "iso-8859-1 XHTML 1.0 Transitional " * (M // 34),
    "hosts": lambda: "aliyuncs.com " * (M // 13),
}


def main(name: str) -> None:
    """Explain one text under a limit of memory, and print the seconds and KiB it took."""
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    rr.explain("")  # imported, and its patterns compiled
    text = CASES[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = rr.explain(text)
    forms = [str(found), found.to_html(), found.to_markdown(), json.dumps(found.to_dict())]
    seconds = time.process_time() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    told = {"seconds": seconds, "grown": grown, "known": found.known, "why": found.why}
    told |= {"longest": max(map(len, forms)), "encodes": all(form.encode() for form in forms)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
