"""Lookup ``setting``: a variable of another role, as the inventory has it, else by the default of that role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: setting
author: vllm-deploy
short_description: A public variable of another role, or its default
description: A role that is not of the play has no defaults there. A default that is a template is not one to ask for.
options:
  _terms:
    description: Names of variables, each with the name of its role in front.
    required: true
  of:
    description: C(hostvars) of the host to ask about, instead of this one.
    type: dict
"""
ROLES = Path(__file__).resolve().parents[3] / "roles"


class LookupModule(LookupBase):
    """Ansible's entry to ``setting``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the value of each of ``terms``."""
        known = kwargs.get("of", variables or {})
        values = [known[name] if name in known else self.default(name) for name in terms]
        return list(self._templar.template(values))

    def default(self, name: str) -> Any:
        """Return what the role of a variable sets where nobody else does."""
        path = ROLES / name.partition("_")[0] / "defaults/main.yml"
        defaults = self._loader.load_from_file(str(path)) if path.exists() else {}
        if name not in defaults or "{{" in str(defaults[name]):
            raise AnsibleLookupError(
                f"setting: {name} is not set, and no role here has a plain default for it"
            )
        return defaults[name]
