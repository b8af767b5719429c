"""Module ``write_files``: bring several small files of a host to the wanted content, all in one step."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

from ansible.module_utils import file_verdict, whole_file
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: write_files
author: vllm-deploy
short_description: Write small text files
description: >-
  C(ansible.builtin.template) and C(ansible.builtin.copy) take two or three connections a file; this takes one for all of them. A file
  that holds its content with its mode already is left alone. Missing directories are made, as private as the file in them.
options:
  files:
    description: The files, each with C(path), C(content) and optionally C(mode), an octal number as a string.
    type: list
    elements: dict
    required: true
  verify:
    description: A command that prints what is wrong with files; it gets copies with the true names before anything is replaced.
    type: list
    elements: str
    default: []
"""
RETURN = """
written: {description: Paths of the files that were not as wanted., type: list, returned: always}
"""
FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
}
SPEC = {
    "files": {"type": "list", "elements": "dict", "options": FILE, "required": True},
    "verify": {"type": "list", "elements": "str", "default": []},
}


def current(path: Path, mode: int) -> str | None:
    """Return the content of a file, or None when it is missing or has another mode."""
    try:
        if stat.S_IMODE(path.stat().st_mode) == mode:
            return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        pass
    return None


def faults(files: list[dict[str, str]], verify: list[str]) -> str:
    """Return what a command says of the files, empty when it has nothing to say of them."""
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / Path(file["path"]).name for file in files]
        for path, file in zip(paths, files, strict=True):
            path.write_text(file["content"], encoding="utf-8")
        return file_verdict.faults(verify, paths)


def main() -> None:
    """Write what differs."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    written, diff = [], []
    outdated = [
        file
        for file in module.params["files"]
        if current(Path(file["path"]), int(file["mode"], 8)) != file["content"]
    ]
    verify = module.params["verify"]
    # What a dry run would have written earlier is missing to the command.
    if outdated and verify and not module.check_mode and (why := faults(module.params["files"], verify)):
        module.fail_json(msg=f"{verify[0]} does not accept what would be written: {why}")
    for wanted in module.params["files"]:
        path, mode = Path(wanted["path"]), int(wanted["mode"], 8)
        before = current(path, mode)
        if before != wanted["content"]:
            written.append(str(path))
            diff.append(
                {
                    "before": before or "",
                    "after": wanted["content"],
                    "before_header": str(path),
                    "after_header": str(path),
                }
            )
            if not module.check_mode:
                whole_file.write(path, wanted["content"], mode)
    module.exit_json(changed=bool(written), written=written, diff=diff)


if __name__ == "__main__":
    main()
