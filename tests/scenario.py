"""A scenario of molecule, from nothing to nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

WARNING = r"DEPRECATION WARNING|\[WARNING\]"
TELLING = re.compile(rf"{WARNING}|fatal:|^FAILED |(FAILED|ERROR) tests/")  # Ansible's failures, and pytest's


def run(name: str, environment: Mapping[str, str], expected: str = r"(?!)") -> None:
    """Run ``molecule test`` and assert that nothing failed, and that nothing warned but with a line that the pattern ``expected`` is in.

    Its output is shown when it comes, with the seconds since the start. The lines that tell of a failure are said again in the end, where
    they are found.
    """
    lines, started = [], time.monotonic()
    with subprocess.Popen(
        [Path(sys.executable).with_name("molecule"), "test", "--scenario-name", name],
        cwd=Path(__file__).resolve().parents[1],
        # Unbuffered is molecule's own output, so that progress is seen when it is made. With CI, pytest's summary says why, whole.
        env={
            **os.environ,
            **environment,
            "ANSIBLE_NOCOLOR": "1",
            "CI": "1",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as molecule:
        assert molecule.stdout
        for line in molecule.stdout:
            print(f"{time.monotonic() - started:5.0f}  {line}", end="", flush=True)
            lines.append(line)
    lines = [line for line in lines if not re.search(expected, line)]
    telling = "".join(dict.fromkeys(line[:500] for line in lines if TELLING.search(line)))
    assert molecule.returncode == 0, f"exit code {molecule.returncode}\n{telling}"
    assert not [line for line in lines if re.search(WARNING, line)], telling
