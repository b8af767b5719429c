"""Action ``check_variables``: refuse a misspelt name or a value that cannot be meant in any role's variables before anything is touched.

Ansible checks the types of a role only when that role starts, and neither names nor ranges: ``vllm_prot: 8001`` would pass in silence, and
``vllm_port: 80`` would stop a vLLM that serves for one that may not bind it.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

from ansible.plugins.action import ActionBase

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
import instances
from variable_relations import (
    contradictions,
    rendered_flags,
    repeated,
)  # Ansible keeps plugins out of packages
from variable_rules import own_fault

Options = dict[str, dict[str, Any]]
Values = dict[str, Any]
SPEC = {
    "roles": {"type": "path", "required": True},
    "needed": {"type": "list", "elements": "str", "default": []},
}
WHERE = (
    "Look at the inventory (group_vars, host_vars) and at -e; the variables are listed in docs/variables.md."
)
BOOTED = "id -u; [ ! -d /run/systemd/system ] || echo by systemd"
UNPRIVILEGED = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; id -u"


def read_specs(roles: Path) -> tuple[dict[str, Options], Values]:
    """Return the options of each role below ``roles``, over all its entry points, and the defaults that are no templates.

    The entry point ``outputs`` lists what the role makes for others: known names, which -e must not set.
    """
    loader, specs, defaults = DataLoader(), {}, {}
    for path in sorted(roles.glob("*/meta/argument_specs.yml")):
        entries = loader.load_from_file(str(path))["argument_specs"]
        specs[path.parent.parent.name] = {
            name: option
            | {"required": option.get("required") and entry == "main", "output": entry == "outputs"}
            for entry in (*(name for name in entries if name != "main"), "main")
            for name, option in entries[entry]["options"].items()
        }
        file = path.parents[1] / "defaults/main.yml"
        defaults |= loader.load_from_file(str(file)) if file.exists() else {}
    return specs, {name: value for name, value in defaults.items() if "{{" not in str(value)}


def unknown_names(names: list[str], specs: dict[str, Options]) -> list[str]:
    """Return a line for each of ``names`` that looks like a role's variable but is not one."""
    known = [option for options in specs.values() for option in options]
    lines = []
    for name in sorted(names):
        if name.split("_")[0] in specs and "_" in name and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            lines.append(
                f"{name} is not a variable of any role here" + (f"; did you mean {near[0]}?" if near else ".")
            )
    return lines


def outputs_given(names: Iterable[str], specs: dict[str, Options]) -> Iterator[str]:
    """Yield a line for each of ``names`` that a role makes for others: given by -e, it would hide what the role finds."""
    for role, options in specs.items():
        for name in sorted(set(names) & {each for each, option in options.items() if option["output"]}):
            yield f"{name} is what the role {role} tells other roles: leave it out of -e."


class ActionModule(ActionBase):
    """Check the host's variables against the argument specs of all roles, the rules above and each other."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fail with one line for each fault. ``needed`` are the roles whose variables must be there; without any, no host is asked."""
        super().run(tmp, task_vars)
        _, args = self.validate_argument_spec(SPEC)
        variables, roles = task_vars or {}, Path(args["roles"])
        specs, defaults = read_specs(roles)
        faults = [
            *unknown_names(list(variables), specs),
            *outputs_given(load_extra_vars(self._loader), specs),
        ]
        options = {
            name: option for each in specs.values() for name, option in each.items() if not option["output"]
        }
        given = {name: self._templar.template(variables[name]) for name in options if name in variables}
        wrong = {name: why for name, value in given.items() if (why := own_fault(name, value, options[name]))}
        faults += wrong.values()
        faults += [
            f"{name} is not set: {option['description']}"
            for role in args["needed"]
            for name, option in specs.get(role, {}).items()
            if option["required"] and name not in variables
        ]
        values = defaults | {name: value for name, value in given.items() if name not in wrong}
        hosts = [variables["hostvars"][name] for name in variables["groups"].get("vllm", [])]
        served = {
            str(host.get("vllm_served_model_name", defaults["vllm_served_model_name"])) for host in hosts
        }
        faults += contradictions(values, variables["group_names"], served)
        faults += repeated(values["vllm_extra_args"], rendered_flags(roles))
        rows = values["vllm_extra_instances"] if "vllm" in variables["group_names"] else []
        faults += instances.faults(rows, values, defaults, specs["vllm"])
        for where, row in instances.named(rows):
            own = defaults | {"vllm_lock": values["vllm_lock"]} | instances.sound(row, specs["vllm"])
            more = [
                *contradictions(own, ["vllm"], served),
                *repeated(own["vllm_extra_args"], rendered_flags(roles)),
            ]
            faults += [f"{where}: {line}" for line in more]
        if "vllm" in variables["group_names"] and values["vllm_name"] != defaults["vllm_name"]:
            faults.append(
                f"vllm_name is {values['vllm_name']!r}: the first vLLM of a host is {defaults['vllm_name']}; others are rows."
            )
        if args["needed"]:
            faults += self.unmanageable(values)
            faults += self.privileged(values, variables["group_names"])
        return {"failed": True, "msg": "\n".join([*faults, WHERE])} if faults else {"changed": False}

    def unmanageable(self, values: Values) -> Iterator[str]:
        """Yield why systemd cannot run services on this host for these tasks."""
        if values["service_manager"] != "systemd":
            return
        told = re.fullmatch(r"(\d+)\s+(by systemd)?\s*", self._low_level_execute_command(BOOTED)["stdout"])
        if not told:  # what is wrong with the host the next module says
            return
        uid, booted = told.groups()
        if not booted:
            yield (
                "service_manager is systemd, which did not boot this host (there is no /run/systemd/system). Take another host,"
                " or set service_manager: supervisor, which has no sandbox and no guard."
            )
        elif uid != "0":
            yield (
                f"service_manager is systemd, which only root may use, and the tasks run as user {uid}. Set ansible_become: true,"
                " and give --ask-become-pass where sudo asks for a password."
            )

    def privileged(self, values: Values, groups: list[str]) -> Iterator[str]:
        """Yield the ports that a service may not bind, as the host's kernel has it; asked only for those that can be such."""
        ports = {name: int(values[f"{name}_port"]) for name in ("vllm", "backend") if name in groups}
        low = {name: port for name, port in ports.items() if port < 1024}
        if not low:
            return
        first, uid = (int(line) for line in self._low_level_execute_command(UNPRIVILEGED)["stdout"].split())
        for name, port in low.items():
            user = values[f"{name}_user"] if values["service_manager"] == "systemd" else f"user {uid}"
            if port < first and user not in ("root", "user 0"):
                yield (
                    f"{name}_port is {port}: ports below {first} are for root, and {name} runs as {user}."
                    f" Give one from {first} on, and let a proxy hand on what comes to {port}."
                )
