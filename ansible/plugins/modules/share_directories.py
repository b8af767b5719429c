"""Module ``share_directories``: directories in which several users make files of their own, and none can take another's away."""

from __future__ import annotations

import fnmatch
import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: share_directories
author: vllm-deploy
short_description: Let a group make files in directories of root's
description: >-
  They belong to root and the group, with the sticky bit. What root made there before, while nobody else could, is given to whom its name
  says; from then on no owner is changed, for a name may be any file.
options:
  paths: {description: The directories., type: list, elements: path, required: true}
  group: {description: The group., type: str, required: true}
  files: {description: "User -> patterns of the names of its files.", type: dict, required: true}
"""
SPEC = {
    "paths": {"type": "list", "elements": "path", "required": True},
    "group": {"type": "str", "required": True},
    "files": {"type": "dict", "required": True},
}
MODE = 0o1775


def share(directory: Path, group: int, files: dict[int, list[str]], dry: bool) -> bool:
    """Share one directory, and tell whether it was not yet."""
    facts = directory.lstat()
    if (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (0, group, MODE):
        return False
    if dry:
        return True
    only_roots = not facts.st_uid and not facts.st_mode & 0o022
    for path in directory.iterdir() if only_roots else []:
        for user, patterns in files.items():
            if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in patterns):
                os.chown(path, user, group, follow_symlinks=False)
    os.chown(directory, 0, group, follow_symlinks=False)
    directory.chmod(MODE)
    return True


def act(given: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Share those that are there; a dry run knows no users that it would have made."""
    paths = [Path(path) for path in given["paths"] if os.path.isdir(path)]
    try:
        group = grp.getgrnam(given["group"]).gr_gid
        files = {pwd.getpwnam(user).pw_uid: patterns for user, patterns in given["files"].items()}
    except KeyError:
        if not dry:
            raise
        return {"changed": True}
    return {"changed": any([share(path, group, files, dry) for path in paths])}


def main() -> None:
    """Do it."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    module.exit_json(**act(module.params, module.check_mode))


if __name__ == "__main__":
    main()
