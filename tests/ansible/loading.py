"""Load one of our plugins as a module: Ansible keeps them out of packages."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import ansible.module_utils
from playbooks import REPOSITORY

ansible.module_utils.__path__.append(str(REPOSITORY / "ansible/plugins/module_utils"))


def load(name: str) -> ModuleType:
    """Load ``ansible/plugins/NAME.py``."""
    spec = importlib.util.spec_from_file_location(
        name.replace("/", "_"), REPOSITORY / f"ansible/plugins/{name}.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# What modules share; Ansible finds it where ansible.cfg says.
sys.modules.setdefault("ansible.module_utils.trust", load("module_utils/trust"))
