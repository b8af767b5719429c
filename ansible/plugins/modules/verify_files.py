"""Module ``verify_files``: whether the files of a directory are those of a manifest; can unpack missing ones first."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import Any

from ansible.module_utils import whole_file
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: verify_files
author: vllm-deploy
short_description: Compare files with their sizes and SHA-256
description: >-
  A file is read once: its size and time are kept in C(remember), and while they stay it is not read again. So a model of many GB is
  verified at its first deploy only.
options:
  directory: {description: Where the files are., type: path, required: true}
  files: {description: "What they must be: relative name to C(size) in bytes and C(sha256).", type: dict, required: true}
  remember: {description: File that keeps what was read., type: path, required: true}
  archive: {description: "A tar with some of them, unpacked first and removed.", type: path}
  exact: {description: "Remove other files of the directory, and those that are not as they must be.", type: bool, default: false}
  remedy: {description: "When given, a file that is missing or different is a failure, and this says what to do.", type: str}
"""
RETURN = """
wrong: {description: What is missing or different; name to reason., type: dict, returned: always}
"""
SPEC = {
    "directory": {"type": "path", "required": True},
    "files": {"type": "dict", "required": True},
    "remember": {"type": "path", "required": True},
    "archive": {"type": "path"},
    "exact": {"type": "bool", "default": False},
    "remedy": {"type": "str"},
}
SHOWN = 5  # files that a message names


def leads_in(name: str, flat: bool) -> bool:
    """Tell whether a name leads to a file below a directory, or, with ``flat``, in it; a model has folders, too."""
    path = Path(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\0" not in name
    return inside and bool(path.parts) and (not flat or name == path.name)


def unpack(archive: Path, directory: Path, names: set[str]) -> None:
    """Unpack the members of ``archive`` that are among ``names``; a file is there whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o755)
    with tarfile.open(archive) as tar:
        for member in tar:
            source = tar.extractfile(member)
            if member.name in names and source:
                unfinished = directory / f".{member.name}"
                unfinished.unlink(missing_ok=True)
                with unfinished.open("xb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                unfinished.chmod(0o644)
                os.replace(unfinished, directory / member.name)
    archive.unlink()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file; what is something else by now has none."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return ""
        return hashlib.file_digest(file, "sha256").hexdigest()


def judge(directory: Path, files: dict[str, dict[str, Any]], known: dict[str, list[Any]]) -> dict[str, str]:
    """Return the reason for each file that is not as it must be, and keep in ``known`` what was read."""
    wrong = {}
    for name, wanted in files.items():
        path = directory / name
        if not path.is_file():
            wrong[name] = "is missing"
            continue
        state = path.stat()
        mark = [state.st_size, state.st_mtime_ns]
        if state.st_size != wanted["size"]:
            wrong[name] = f"has {state.st_size} bytes, the manifest says {wanted['size']}"
            continue
        if known.get(name, [])[:2] != mark:
            known[name] = [*mark, sha256(path)]
        if known[name][2] != wanted["sha256"]:
            wrong[name] = f"has SHA-256 {known[name][2]}, the manifest says {wanted['sha256']}"
    return wrong


def main() -> None:
    """Unpack, verify, remove what is not as in the manifest, and keep what was read."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    given = module.params
    directory, remember, files = Path(given["directory"]), Path(given["remember"]), given["files"]
    if outside := [name for name in files if not leads_in(name, given["exact"])]:
        module.fail_json(
            msg=f"{outside[0]!r} is no name of a file in {directory}: the manifest is not one of ansible/bundle.yml."
        )
    if given["archive"] and not module.check_mode:
        unpack(Path(given["archive"]), directory, set(files))
    text = remember.read_text(encoding="utf-8") if remember.exists() else "{}"
    known = json.loads(text)
    wrong = judge(directory, files, known)
    others = (
        [
            path
            for path in directory.glob("*")
            if path.is_file() and (path.name not in files or path.name in wrong)
        ]
        if given["exact"]
        else []
    )
    known = {name: mark for name, mark in known.items() if name in files}
    if not module.check_mode:
        for path in others:
            path.unlink()
        if json.dumps(known) != text:
            whole_file.write(remember, json.dumps(known))
    if wrong and given["remedy"]:
        lines = [f"{directory / name} {why}." for name, why in sorted(wrong.items())]
        more = [f"… and {len(lines) - SHOWN} more files."] if len(lines) > SHOWN else []
        module.fail_json(msg="\n".join([*lines[:SHOWN], *more, given["remedy"]]), wrong=wrong)
    module.exit_json(changed=bool(given["archive"] or others), wrong=wrong)


if __name__ == "__main__":
    main()
