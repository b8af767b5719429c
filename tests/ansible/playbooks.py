"""Run a playbook of this repository as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
Playbook = Callable[..., "subprocess.CompletedProcess[str]"]


def run_playbook(
    name: str, directory: Path, *arguments: str, inventory: str = "inventory/demo", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the playbook ``name`` of the repository, with everything below ``directory`` and further environment variables."""
    program = Path(sys.executable).with_name("ansible-playbook")
    environment = (
        os.environ
        | variables
        | {
            "DEMO_DIRECTORY": str(directory),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": f"{directory}-ansible",
        }
    )
    return subprocess.run(
        [program, "-i", inventory, name, *arguments],
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
