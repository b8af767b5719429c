"""Action ``check_variables``: refuse a misspelt name or a wrong type in any role's variables before anything is touched.

Ansible checks the values of a role only when that role starts, and the names never: ``vllm_prot: 8001`` would pass in silence.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader

from ansible.plugins.action import ActionBase

Options = dict[str, dict[str, Any]]


def read_specs(roles: Path) -> dict[str, Options]:
    """Return the options of each role below ``roles``, over all its entry points."""
    loader, specs = DataLoader(), {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        entries = loader.load_from_file(str(path))["argument_specs"].values()
        specs[path.parent.parent.name] = {
            name: option for entry in entries for name, option in entry["options"].items()
        }
    return specs


def unknown_names(names: list[str], specs: dict[str, Options]) -> list[str]:
    """Return a line for each of ``names`` that starts like a role's variable and is none."""
    known = [option for options in specs.values() for option in options]
    lines = []
    for name in sorted(names):
        if name.split("_")[0] in specs and "_" in name and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            lines.append(
                f"{name} is not a variable of any role here" + (f"; did you mean {near[0]}?" if near else ".")
            )
    return lines


class ActionModule(ActionBase):
    """Check the host's variables against the argument specs of all roles."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line for each fault."""
        _, args = self.validate_argument_spec({"roles": {"type": "path", "required": True}})
        variables = task_vars or {}
        specs = read_specs(Path(args["roles"]))
        faults = unknown_names(list(variables), specs)
        for options in specs.values():
            given = {name: self._templar.template(variables[name]) for name in options if name in variables}
            relaxed = {name: option | {"required": False} for name, option in options.items()}
            faults += ArgumentSpecValidator(relaxed).validate(given).error_messages
        if not faults:
            return {"changed": False}
        where = (
            "Look at the inventory (group_vars, host_vars) and at -e; the variables are listed in README.md."
        )
        return {"failed": True, "msg": "\n".join([*faults, where])}
