"""All benchmarks, and what is promised and what holds. Moderate sizes in at most ten minutes; `--full` for the full ones.

Ends with 0 also where a line is not held, with another code where a benchmark itself broke.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from harness import BENCH_PYTHON, HERE, Line, databases, load, show


@dataclass(frozen=True)
class Job:
    """One benchmark as it is started; `full` are the sizes that are promised."""

    title: str
    script: str
    quick: tuple[str, ...]
    full: tuple[str, ...]

    def run(self, full: bool) -> dict[str, Any]:
        """Its figures and lines; raises CalledProcessError if it broke."""
        arguments = self.full if full else self.quick
        done = subprocess.run(
            [sys.executable, str(HERE / self.script), *arguments, "--json"], stdout=subprocess.PIPE, check=True
        )
        return dict(json.loads(done.stdout.splitlines()[-1]))


JOBS = (
    Job("pull beside dlt", "pull.py", ("--customers", "20000", "--repeat", "3"), ("--customers", "100000", "--repeat", "3")),
    Job(
        "pull with latency",
        "pull.py",
        ("--latency", "50ms", "--customers", "30000", "--repeat", "1"),
        ("--latency", "50ms", "--customers", "100000", "--repeat", "3"),
    ),
    Job(
        "pull again",
        "pull.py",
        ("--rerun", "--customers", "20000", "--repeat", "1"),
        ("--rerun", "--customers", "100000", "--repeat", "3"),
    ),
    Job("memory", "pull.py", ("--memory", "--database", "sqlite", "--sizes", "5000,50000"), ("--memory",)),
    Job(
        "push",
        "push.py",
        ("--contacts", "10000", "--repeat", "1", "--calls", "200", "--small", "3000"),
        ("--contacts", "20000", "--repeat", "3", "--calls", "400", "--small", "20000"),
    ),
    Job("pages", "pages.py", ("--customers", "20000", "--rounds", "10"), ("--customers", "200000")),
    Job("crash", "crash.py", ("--kills", "8", "--customers", "30000", "--contacts", "8000"), ("--kills", "20")),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--full", action="store_true", help="the sizes that are promised (about an hour)")
    parser.add_argument("--only", action="append", choices=[job.title for job in JOBS], help="may be repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    if not BENCH_PYTHON.exists():
        raise SystemExit("dlt is not set up; run: make .venv-bench/.installed")
    say = sys.stderr if given.json else sys.stdout
    print(f"{load()}; databases: {', '.join(databases())}", file=say)
    found: dict[str, dict[str, Any]] = {}
    broken = []
    for job in JOBS:
        if given.only and job.title not in given.only:
            continue
        started = time.monotonic()
        try:
            found[job.title] = job.run(given.full)
        except (subprocess.CalledProcessError, json.JSONDecodeError) as error:
            broken.append(job.title)
            print(f"{job.title}: broke ({type(error).__name__})", file=say)
            continue
        print(f"{job.title}: {time.monotonic() - started:.0f} s, {load()}", file=say)
    lines = [Line(**line) for one in found.values() for line in one.pop("lines")]
    if given.json:
        print(json.dumps({"figures": found, "lines": [vars(line) for line in lines], "broken": broken}))
    else:
        _show(found, lines)
    sys.exit(1 if broken else 0)


def _show(found: dict[str, dict[str, Any]], lines: list[Line]) -> None:
    rates = {**found.get("pull beside dlt", {}), **{f"push {name}": one for name, one in _push_rates(found).items()}}
    rows = [
        (name, f"{one['rate']:,.0f}", f"{one['peak_mb']:.0f}", one["cpu"], int(one["calls"]), int(one["throttled"]))
        for name, one in rates.items()
    ]
    show("Rates (medians)", ("runner", "records/s", "peak MB", "CPU s", "calls", "429"), rows)
    show(f"What is promised ({load()})", ("line", "measured", "aim", ""), [line.row() for line in lines])


def _push_rates(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(found.get("push", {}).get("rates", {}))


if __name__ == "__main__":
    main()
