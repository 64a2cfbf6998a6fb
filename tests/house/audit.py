"""Known weaknesses of the locked dependencies: `make lint` fails on any that is not listed below with its reason.

Without a connection to the advisory service nothing can be said, and the check says so instead of failing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ACCEPTED: dict[str, str] = {}
"""Advisory id → why it does not touch the hub."""


def main() -> int:
    ignored = [part for advisory in ACCEPTED for part in ("--ignore-vuln", advisory)]
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "-r",
        str(ROOT / "requirements.lock"),
        "--disable-pip",
        "--progress-spinner=off",
    ]
    done = subprocess.run([*command, *ignored], capture_output=True, text=True, timeout=120, check=False)
    report = done.stdout + done.stderr
    if done.returncode and ("onnection" in report or "HTTPError" in report or "Max retries" in report):
        print("dependency audit: no advisory service can be reached from here; nothing was checked")
        return 0
    print(report.strip())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
