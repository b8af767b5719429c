"""What a program such as ``systemd-analyze verify`` says of files before they are used."""

from __future__ import annotations

import subprocess
from pathlib import Path


def faults(command: list[str], paths: list[Path]) -> str:
    """Return what ``command`` says of the files, whose paths are appended; empty when it accepts them."""
    argv = [*command, *map(str, paths)]
    reply = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    # Of units that these name, others may have faults too. A misspelt key is only said, with exit code 0.
    lines = [line for line in reply.stderr.splitlines() if any(path.name in line for path in paths)]
    failed = reply.stderr or f"{command[0]} ended with {reply.returncode}" if reply.returncode else ""
    return "\n".join(lines) or failed
