"""Module ``keep_secrets``: put the secrets of a service on a host, where only root (without root, its one user) reads them."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.secret_sets import Sets

DOCUMENTATION = """
module: keep_secrets
author: vllm-deploy
short_description: Keep the secrets of a service, and tell their id
description: >-
  The set is written beside the one in use; the module C(release) switches to it with the release that names it. Nothing that is said,
  logged or compared holds a value.
options:
  directory: {description: Where the sets of the service are., type: path, required: true}
  own: {description: "JSON of its variables. One text, for Ansible hides all words that are a value in results.", type: str, required: true}
  offered: {description: "JSON of those that other services of the host may take.", type: str, required: true}
  taken: {description: "JSON of those that it takes from another service; they only count for the id.", type: str, required: true}
"""
RETURN = """
id: {description: "The set, for a comment in the release.", type: str, returned: always}
names: {description: The variables in it., type: list, returned: always}
"""
SPEC = {
    "directory": {"type": "path", "required": True},
    "own": {"type": "str", "required": True, "no_log": True},
    "offered": {"type": "str", "required": True, "no_log": True},
    "taken": {"type": "str", "required": True, "no_log": True},
}


def main() -> None:
    """Write the set unless it is there."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    own, offered, taken = (json.loads(module.params[name]) for name in ("own", "offered", "taken"))
    sets = Sets(Path(module.params["directory"]))
    name = sets.id_of(own, offered, taken, dry=module.check_mode)
    changed = bool(own) and sets.keep(name, own, offered, dry=module.check_mode)
    module.exit_json(changed=changed, id=name, names=sorted(own))


if __name__ == "__main__":
    main()
