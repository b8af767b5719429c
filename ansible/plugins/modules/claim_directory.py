"""Module ``claim_directory``: a directory that is the deploy's own, by a mark in it; one without is left alone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.plain_text import plain
from ansible.module_utils.trust import Other, judge, others

DOCUMENTATION = """
module: claim_directory
author: vllm-deploy
short_description: Make a directory the deploy's own, or remove what the roles made in it
description: >-
  C(claimed) makes it and writes the mark; a directory that holds other things and no mark is refused. C(ours) refuses the same and makes
  nothing. C(removed) removes what the roles make there; what else is in it stays, and then the mark with it.
options:
  path: {description: The directory., type: path, required: true}
  state: {description: What to do., type: str, required: true, choices: [claimed, ours, removed]}
  roots:
    description: Whether root runs what is in it, beside services of other users; then what these could change is refused.
    type: bool
    default: false
  keep: {description: Paths that stay wherever they are., type: list, elements: path, default: []}
  logs: {description: Whether the logs go too., type: bool, default: false}
"""
RETURN = """
removed: {description: What was removed., type: list, returned: removed}
left: {description: What is still in it beside the mark., type: list, returned: removed}
"""
SPEC = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "required": True, "choices": ["claimed", "ours", "removed"]},
    "roots": {"type": "bool", "default": False},
    "keep": {"type": "list", "elements": "path", "default": []},
    "logs": {"type": "bool", "default": False},
}
MARK = ".vllm-deploy"
LOCK = "deploy.lock"  # of this very run
TEXT = (
    "vllm-deploy made this directory; ansible/uninstall.yml removes what it made in it, and nothing else.\n"
)
# What others than root may not change: in the first ones lies what root runs.
RUN = ("bin", "venvs", "checks", "services", "releases", "secrets")
ROOTS = (*RUN, "backend", "gateway", "logs", "cache", "python", "bundle", "tmp")
# What the roles make. In the others a user may have things, too: there it is what these patterns fit.
WHOLE = (*RUN, "gateway", "cache", "tmp", "watch", "metrics", "supervisor", "bundle", "python", LOCK)
ID = "[0-9a-f]" * 12
PARTS = {"backend": (ID, f"{ID}.complete", f"{ID}.new", f"{ID}.tar"), "vllm": ()}
LOGS = {"logs": ("vllm.log*", "backend.log*", "gateway.log*", "canary.log*", "deep-probe.log*")}
# What says nothing of whose a directory is: a disk of its own, Ansible's temporary files, what an uninstallation leaves.
NEUTRAL = ("lost+found", "ansible", "logs", LOCK)


def marked(directory: Path) -> bool:
    """Tell whether it carries the mark, or the probes of a deploy from before there was one."""
    probes = directory / "bin/checks"
    with_probes = (
        probes.is_file() and not probes.is_symlink() and "python_checks" in probes.read_text(errors="replace")
    )
    return (directory / MARK).is_file() or with_probes


def strange(directory: Path) -> list[str]:
    """Return what is in a directory that carries no mark, and is somebody else's."""
    if not directory.exists() or marked(directory):
        return []
    return sorted(path.name for path in directory.iterdir() if path.name not in NEUTRAL)


def foreign(directory: Path) -> Iterator[Other]:
    """Yield what others than root may change: the directory, the way there, and what the roles make in it."""
    yield from others(directory)
    for name in ROOTS:
        for place in (directory / name, *((directory / name).glob("*") if name in RUN else [])):
            if other := judge(place):
                yield other


def faults(directory: Path, roots: bool) -> str:
    """Return why the directory may not be used, empty when it may."""
    if directory.exists() and not directory.is_dir():
        return f"{directory} is no directory. Correct host_directory."
    if names := strange(directory):
        return (
            f"{directory} holds {', '.join(names[:5])}{' …' if names[5:] else ''} and no mark of a deploy ({MARK}), so it is not ours to"
            " write to, nor to remove. Nothing was touched. Set host_directory to a directory that is empty or not there yet."
        )
    found = dict.fromkeys(foreign(directory)) if roots else {}
    if not found:
        return ""
    lines = [
        f"{other.path} {other.why}: sudo chown root: {other.path}; sudo chmod go-w {other.path}"
        for other in found
    ]
    first = f"Root runs what is in {directory}, and others than root could change that. Nothing was touched."
    return "\n".join([first, *lines, "Do that, or choose another host_directory."])


def wanted(directory: Path, logs: bool) -> Iterator[Path]:
    """Yield what the roles made."""
    yield from (directory / name for name in WHOLE)
    for name, patterns in (PARTS | (LOGS if logs else {})).items():
        if not (directory / name).is_symlink():
            for pattern in patterns:
                yield from (directory / name).glob(pattern)


def remove(path: Path, keep: list[Path], dry: bool) -> Iterator[Path]:
    """Remove a path, but what is kept, and yield what was removed; a link goes, and what it leads to stays."""
    folder = path.is_dir() and not path.is_symlink()
    if not os.path.lexists(path) or path in keep:
        return
    if folder and any(path in kept.parents for kept in keep):
        for inside in list(path.iterdir()):
            yield from remove(inside, keep, dry)
        return
    yield path
    if dry:
        return
    if folder:
        shutil.rmtree(path)
    else:
        path.unlink()


def tidy(directory: Path) -> None:
    """Remove directories of the roles that are empty, and the directory itself with its mark when nothing else is in it."""
    for path in (directory / name for name in (*PARTS, *LOGS)):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()
    if [path.name for path in directory.iterdir()] == [MARK]:
        (directory / MARK).unlink()
        if not directory.is_mount():
            directory.rmdir()


def claim(directory: Path, dry: bool) -> bool:
    """Make the directory and write its mark; tell whether that was missing."""
    if (directory / MARK).is_file():
        return False
    if not dry:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        handle = os.open(directory / MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(TEXT)
    return True


def act(given: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Do what is asked and return the result.

    Raises:
        ValueError: the directory is not to be used.
    """
    directory = Path(given["path"])
    if given["roots"] and os.geteuid() == 0 and not getattr(sys.flags, "safe_path", False):
        raise ValueError(
            f"Root would take Python's modules from {os.getcwd()}, which others may write to: this Python ({sys.executable}) is older"
            " than 3.11, or PYTHONSAFEPATH is not set. Set ansible_python_interpreter to a Python 3.11 to 3.13 of the host."
        )
    if why := faults(directory, given["roots"]):
        raise ValueError(why)
    if given["state"] == "claimed":
        return {"changed": claim(directory, dry)}
    if given["state"] == "ours":
        if marked(directory):
            claim(
                directory, dry
            )  # one of a deploy from before there was a mark: what stays of it must be known as ours
        return {"changed": False}
    if not directory.exists():
        return {"changed": False, "removed": [], "left": []}
    keep = [
        Path(each(path)) for path in given["keep"] if path for each in (os.path.abspath, os.path.realpath)
    ]
    directory = Path(os.path.realpath(directory))
    removed = [
        str(path) for each in list(wanted(directory, given["logs"])) for path in remove(each, keep, dry)
    ]
    if not dry:
        tidy(directory)
    left = sorted({path.name for path in directory.iterdir()} - {MARK}) if directory.exists() else []
    return {"changed": removed not in ([], [str(directory / LOCK)]), "removed": removed, "left": left}


def main() -> None:
    """Do what is asked."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    try:
        module.exit_json(**act(module.params, module.check_mode))
    except ValueError as error:
        module.fail_json(msg=plain(error))  # names of others' files are among them


if __name__ == "__main__":
    main()
