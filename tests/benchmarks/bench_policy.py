"""How many requests a second the evaluator decides against 50 statements. It measures and asserts nothing.

    python tests/benchmarks/bench_policy.py --requests 20000

Every request differs from every other, so nothing that was decided before can help. "mixed" spreads the statements over
five services; "one service" has all 50 speak about the service that is asked for, with a wildcard action each; "conditions"
gives each of those a condition that has to be read. "with trace" also looks at each decision's trace, as the panel does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any

from ramrole_nb.policy import NamedDocument, Request, evaluate, parse_policy

say = sys.stdout.write

STATEMENTS = 50
SERVICES = ("oss", "ecs", "ram", "vpc", "rds")


def mixed(i: int) -> dict[str, Any]:
    """Statement i of five services in turn; every tenth denies."""
    service = SERVICES[i % 5]
    return {
        "Effect": "Deny" if i % 10 == 9 else "Allow",
        "Action": [f"{service}:Get*", f"{service}:List{i}", f"{service}:Put{i}"],
        "Resource": [f"acs:{service}:*:*:thing-{i}/*", f"acs:{service}:*:*:thing-{i}"],
    }


def one_service(i: int) -> dict[str, Any]:
    """Statement i, always about OSS."""
    return {
        "Effect": "Deny" if i % 10 == 9 else "Allow",
        "Action": ["oss:Get*", "oss:List*"],
        "Resource": [f"acs:oss:*:*:thing-{i}/*", f"acs:oss:*:*:thing-{i}"],
    }


def conditions(i: int) -> dict[str, Any]:
    """The same, for requests of a network and over HTTPS."""
    tests = {"IpAddress": {"acs:SourceIp": f"10.{i}.0.0/16"}, "Bool": {"acs:SecureTransport": "true"}}
    return {**one_service(i), "Resource": "*", "Condition": tests}


def requests(kind: str, count: int) -> list[Request]:
    """`count` requests, no two alike."""
    services = SERVICES if kind == "mixed" else ("oss",)
    return [
        Request(
            f"{services[k % len(services)]}:GetObject",
            f"acs:{services[k % len(services)]}:oss-cn-beijing:123456:thing-{k % 60}/file-{k}",
            context={
                "acs:SourceIp": f"10.{k % 60}.{k // 250 % 250}.{k % 250}",
                "acs:SecureTransport": "true",
            },
        )
        for k in range(count)
    ]


KINDS = {"mixed": mixed, "one service": one_service, "conditions": conditions}


def measure(kind: str, count: int, *, with_trace: bool) -> float:
    """Decisions a second; the document is read anew, so its preparation is in it."""
    source = {"Version": "1", "Statement": [KINDS[kind](i) for i in range(STATEMENTS)]}
    asked = requests(kind, count)
    started = time.perf_counter()
    held = [NamedDocument("policy", "Custom", parse_policy(source))]
    for request in asked:
        decision = evaluate(request, held)
        if with_trace:
            len(decision.trace)
    return count / (time.perf_counter() - started)


def main() -> None:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for kind in KINDS:
        for with_trace in (False, True):
            count = options.requests // (10 if with_trace else 1)
            rates = [measure(kind, count, with_trace=with_trace) for _ in range(options.rounds)]
            name = f"{kind}, with trace" if with_trace else kind
            say(
                f"{name:<24} {statistics.median(rates):>9,.0f} a second ({min(rates):,.0f} to {max(rates):,.0f})\n"
            )


if __name__ == "__main__":
    main()
