"""How long it takes until one can begin, and what the sandbox costs while it idles. It measures and asserts nothing.

    python tests/benchmarks/bench_startup.py --rounds 5

Each figure is the median over the rounds, each round in fresh processes; what an interpreter alone takes is shown beside
it and not subtracted. "cold" is a connect() that has to start a sandbox on a new state folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ramrole_nb.sandbox import process

say = sys.stdout.write

_TIMED = "import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
_LOADED = (
    "import sys, ramrole_nb; "
    "print([m for m in ('aiohttp', 'ipywidgets', 'oss2', 'Tea', 'darabonba', 'requests', 'sqlite3') if m in sys.modules])"
)


def wall(code: str, environment: Mapping[str, str]) -> float:
    """Seconds a fresh interpreter takes for the code, its own start included."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def inside(code: str, environment: Mapping[str, str]) -> float:
    """Seconds the code takes inside a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(code=code)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.splitlines()[-1])


def memory_mib(pid: int) -> dict[str, float]:
    """Resident and proportional memory of a process."""
    rows = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        if ":" in line
    )
    return {name: int(rows[name].split()[0]) / 1024 for name in ("Rss", "Pss")}


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    figures: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        figures.setdefault(name, []).append(seconds)

    memory: dict[str, float] = {}
    for _ in range(options.rounds):
        folder = Path(tempfile.mkdtemp(prefix="rr-bench-"))
        environment = {**os.environ, "RAMROLE_STATE": str(folder / "state")}
        try:
            note("python -c pass", wall("pass", environment))
            note("import ramrole_nb, in a process", wall("import ramrole_nb", environment))
            note("import ramrole_nb", inside("import ramrole_nb", environment))
            connect = "import ramrole_nb as rr; rr.connect()"
            note("import and connect(), cold sandbox", inside(connect, environment))
            note("import and connect(), running sandbox", inside(connect, environment))
            note("and the first answer: connect().identity()", inside(f"{connect}.identity()", environment))
            runtime = process.running(folder / "state")
            assert runtime
            before = cpu_seconds(runtime["pid"])
            time.sleep(1.0)
            memory = memory_mib(runtime["pid"]) | {"cpu": cpu_seconds(runtime["pid"]) - before}
        finally:
            process.stop(folder / "state")
            shutil.rmtree(folder, ignore_errors=True)
    for name, seconds in figures.items():
        say(f"{name:<44} {statistics.median(seconds) * 1000:8.0f} ms  (lowest {min(seconds) * 1000:.0f})\n")
    say(f"{'sandbox, idle':<44} {memory['Rss']:8.0f} MiB resident, {memory['Pss']:.0f} MiB proportional, ")
    say(f"{memory['cpu'] * 1000:.0f} ms of processor in a second\n")
    loaded = subprocess.run(
        [sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True
    ).stdout
    say(f"{'heavy modules that import ramrole_nb loads':<44} {json.dumps(loaded.strip())}\n")


if __name__ == "__main__":
    main()
