"""Run a playbook of this repository as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
Playbook = Callable[..., "subprocess.CompletedProcess[str]"]


def programs(directory: Path, *without: str) -> str:
    """Return a PATH with the programs of the system but those whose names begin so, and no Python but the one that runs this."""
    directory.mkdir()
    (directory / f"python3.{sys.version_info.minor}").symlink_to(Path(sys.executable).resolve())
    for program in (each for folder in ("/usr/bin", "/bin") for each in Path(folder).glob("*")):
        link = directory / program.name
        if not program.name.startswith(("python", *without)) and not link.exists():
            link.symlink_to(program)
    return str(directory)


def run_playbook(
    name: str,
    directory: Path,
    *arguments: str,
    inventory: str = "inventory/demo",
    umask: int = -1,
    **variables: str,
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
            # In an empty HOME a module would make it, with a warning.
            "ANSIBLE_REMOTE_TMP": f"{directory}-ansible/tmp",
        }
    )
    return subprocess.run(
        [program, "-i", inventory, name, *arguments],
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=1200,  # for one that hangs
        umask=umask,
        check=False,
    )
