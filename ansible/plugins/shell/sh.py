"""Shell ``sh``: Ansible's own, with one umask for every module and command on a host, whatever the umask of its login sessions.

What a deploy makes is read by the users of the services and the probes; a session with umask 077, as CIS hardening sets it, would close
it to them. A file that is to be closed has a mode of its own.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ansible.plugins import shell

DOCUMENTATION = """
name: sh
author: vllm-deploy
short_description: POSIX shell whose modules run with umask 022
description: It stands in for Ansible's plugin of the same name, also as a module of Python, so that one is loaded by its path.
extends_documentation_fragment: [shell_common]
"""
_spec = importlib.util.spec_from_file_location("ansible_sh", Path(shell.__file__).with_name("sh.py"))
assert _spec and _spec.loader
_original = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_original)


class ShellModule(_original.ShellModule):  # type: ignore[misc,name-defined]  # loaded by its path
    """Ansible's shell with a known umask."""

    def build_module_command(self, *args: Any, **kwargs: Any) -> str:
        """Return the command that runs a module."""
        return f"umask 022; {super().build_module_command(*args, **kwargs)}"
