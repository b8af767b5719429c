"""Module ``inspect_host``: what a host offers to vLLM, read in one go. It judges nothing and changes nothing."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trust import others

DOCUMENTATION = """
module: inspect_host
author: vllm-deploy
short_description: Read memory, disk, compiler, libnuma and Python interpreters of a host
options:
  directory:
    description: Where the deploy will write; need not exist yet.
    type: path
    required: true
  python:
    description: A further interpreter to look at, or empty.
    type: str
    default: ""
  roots:
    description: Whether root runs interpreters for services of others; then one that these may change is not run.
    type: bool
    default: false
"""
RETURN = """
directories: {description: The directories in it., type: list, returned: always}
complete: {description: What is installed and copied there to its end., type: list, returned: always}
services: {description: What has releases there., type: list, returned: always}
closed: {description: "Directories that only their owner may enter, of those that services and probes read.", type: list, returned: always}
closed_trees: {description: "Environments and the like in which something is closed so.", type: list, returned: always}
memory_gib: {description: MemAvailable in GiB., type: float, returned: always}
disk_gib: {description: Free space in GiB where the directory is or will be., type: float, returned: always}
compiler: {description: Path of g++ or empty., type: str, returned: always}
libnuma: {description: Whether libnuma.so.1 loads., type: bool, returned: always}
pythons: {description: "Interpreters 3.11 to 3.13: of PATH newest first, then others; with words for people.", type: list, returned: always}
given: {description: "The interpreter that was asked for, if it is one of 3.11 to 3.13.", type: list, returned: always}
refused: {description: "Interpreters that were not run, why, and the remedy.", type: list, returned: always}
logrotate: {description: Whether logrotate is there., type: bool, returned: always}
machine: {description: "Its architecture, as uname -m says it.", type: str, returned: always}
users: {description: Names of its users., type: list, returned: always}
family: {description: "Debian where apt-get is, RedHat where dnf is, else empty.", type: str, returned: always}
root: {description: Whether the user is root., type: bool, returned: always}
"""
GIB = 1024**3
# Below a tree, enough to see that a session with umask 077 made it, or filled the cache that its files are links of.
SAMPLES = (
    "bin",
    "lib/*",
    "lib/*/site-packages",
    "lib/*/site-packages/*",
    "lib/*/site-packages/*/__init__.py",
)
VERSIONS = ("3.13", "3.12", "3.11")
FAMILIES = {"apt-get": "Debian", "dnf": "RedHat"}  # of systems, by what installs their packages
PROBE = (
    "import importlib.util, json, os, sys, sysconfig; print(json.dumps({'path': sys.executable, "
    "'version': '%d.%d' % sys.version_info[:2], "
    "'headers': os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')), "
    "'ensurepip': importlib.util.find_spec('ensurepip') is not None}))"
)


def memory_available() -> int:
    """Return MemAvailable of /proc/meminfo in bytes."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    return int(found.group(1)) * 1024 if found else 0


def disk_free(directory: Path) -> int:
    """Return the bytes that a user may still write where ``directory`` is, or where it would be made."""
    while not directory.exists():
        directory = directory.parent
    return shutil.disk_usage(directory).free


def complete(directory: Path) -> list[str]:
    """Return the environments and folders that earlier runs brought to their end; each has a marker."""
    markers = [
        *directory.glob("venvs/*/.complete"),
        *directory.glob("*/*.complete"),
        *directory.glob("checks/*/*.complete"),
    ]
    return [str(path.parent if path.name == ".complete" else path.with_suffix("")) for path in markers]


def is_closed(path: Path) -> bool:
    """Tell whether only its owner has any right to what is there."""
    return path.exists() and not path.stat().st_mode & 0o077


def closed(directory: Path) -> list[str]:
    """Return the directory and those of releases, as far as they are closed."""
    places = [
        directory,
        *(each for pattern in ("", "/*", "/*/*") for each in directory.glob(f"releases{pattern}")),
    ]
    return [str(path) for path in places if path.is_dir() and is_closed(path)]


def closed_trees(directory: Path) -> list[str]:
    """Return the environments, copies and Pythons that are closed as a whole or in part."""
    trees = [tree for name in ("venvs", "checks", "python") for tree in directory.glob(f"{name}/*")]
    return [
        str(tree)
        for tree in trees
        if tree.is_dir()
        and any(map(is_closed, (tree, *(path for sample in SAMPLES for path in tree.glob(sample)))))
    ]


def loads(library: str) -> bool:
    """Tell whether the dynamic linker finds ``library``."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def look_at(path: str, refused: list[str] | None = None) -> list[dict[str, Any]]:
    """Return what the interpreter at ``path`` is; nothing when vLLM does not support it or it only pretends (a pyenv shim).

    Where ``refused`` is given, one that others than root may change is not run but told there.
    """
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        return []
    if refused is not None and (found_others := others(Path(path))):
        place, why = found_others[0].path, found_others[0].why
        refused.append(
            f"{path} is not run as root, for {place} {why} (sudo chown root: {place}; sudo chmod go-w {place})"
        )
        return []
    reply = subprocess.run([path, "-I", "-c", PROBE], capture_output=True, text=True, timeout=20, check=False)
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found: dict[str, Any] = json.loads(reply.stdout)
        lacks = "" if found["headers"] else " without its headers"
        return (
            [found | {"words": f"{found['version']}{lacks} ({found['path']})"}]
            if found["version"] in VERSIONS
            else []
        )
    return []


def pythons(directory: Path, refused: list[str] | None = None) -> list[dict[str, Any]]:
    """Return the interpreters that vLLM supports: those of PATH, newest first, then those that uv fetched."""
    paths = [
        os.path.join(folder, f"python{version}") for version in VERSIONS for folder in os.get_exec_path()
    ]
    fetched = (
        path for path in directory.glob("python/*/*/bin/python3.*") if not path.parents[1].is_symlink()
    )
    found: list[dict[str, Any]] = []
    for path in [*paths, *(str(path) for path in sorted(fetched))]:
        found += [each for each in look_at(path, refused) if each not in found]
    return found


def main() -> None:
    """Read the host and return what was found."""
    spec = {
        "directory": {"type": "path", "required": True},
        "python": {"type": "str", "default": ""},
        "roots": {"type": "bool", "default": False},
    }
    module = AnsibleModule(spec, supports_check_mode=True)
    refused: list[str] | None = [] if module.params["roots"] else None
    found = pythons(Path(module.params["directory"]), refused)
    given = look_at(module.params["python"], refused)
    module.exit_json(
        changed=False,
        memory_gib=round(memory_available() / GIB, 1),
        directories=[str(path) for path in Path(module.params["directory"]).glob("*/") if path.is_dir()],
        complete=complete(Path(module.params["directory"])),
        services=[path.name for path in Path(module.params["directory"]).glob("releases/*/")],
        closed=closed(Path(module.params["directory"])),
        closed_trees=closed_trees(Path(module.params["directory"])),
        disk_gib=round(disk_free(Path(module.params["directory"])) / GIB, 1),
        compiler=shutil.which("g++") or "",
        libnuma=loads("libnuma.so.1"),
        pythons=[*found, *(each for each in given if each not in found)],
        given=given,
        refused=list(dict.fromkeys(refused or [])),
        logrotate=shutil.which("logrotate", path="/usr/sbin:/sbin:/usr/bin") is not None,
        users=[entry.pw_name for entry in pwd.getpwall()],
        family=next((name for program, name in FAMILIES.items() if shutil.which(program)), ""),
        machine=platform.machine(),
        root=os.geteuid() == 0,
    )


if __name__ == "__main__":
    main()
