"""Ask a manager for the state of its services by our modules, as roles/service does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


def state(module: str, arguments: dict[str, Any], *options: str) -> dict[str, dict[str, Any]]:
    """Run a module of roles/service on a host; ``options`` of the command ``ansible`` name it. Return name -> facts."""
    program = Path(sys.executable).with_name("ansible")
    host = options or (
        "-i",
        "localhost,",
        "-c",
        "local",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
    )
    done = subprocess.run(
        [program, *host, "all", "-m", module, "-a", json.dumps(arguments)],
        cwd="/",  # without the repository's ansible.cfg, the result is JSON
        env=os.environ
        | {"ANSIBLE_LIBRARY": str(REPOSITORY / "roles/service/library"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    services: dict[str, dict[str, Any]] = json.loads(done.stdout[done.stdout.index("{") :])["services"]
    return services
