"""Make an offline bundle, or bring it up to date: wheels, and a manifest of them. ``ansible/bundle.yml`` runs it on the controller.

Progress goes to standard error; the last line of standard output is JSON: whether something changed, and what the bundle holds.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from wheels import GLIBC, LOCKS, Target, describe, entries, fetch, say, tidy

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
import whole_file  # Ansible keeps plugins out of packages
from content import content_id

# About how much a lock downloads; the others are a few MB.
MEGABYTES = {
    "uv": 20,
    "backend": 20,
    "vllm-cpu-cpu": 900,
    "vllm-cpu-index": 3100,
    "vllm-cuda": 4000,
    "vllm-cuda-0.33": 4000,
    "vllm-cuda-aarch64": 4000,
}


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, help="the bundle")
    parser.add_argument(
        "--want",
        action="append",
        required=True,
        help="one of our locks, without the build of torch, or NAME=FILE",
    )
    parser.add_argument(
        "--python", action="append", required=True, help="Pythons that suit, best first: 3.13,3.12"
    )
    parser.add_argument("--machine", action="append", required=True, help="the hosts' architectures: x86_64")
    parser.add_argument("--model", type=Path, help="a model to describe in the manifest")
    return parser.parse_args()


def place(want: str) -> tuple[str, Path]:
    """Return the name and the file of a lock: one of our own, or NAME=FILE."""
    name, _, path = want.partition("=")
    return name, Path(path) if path else LOCKS / f"{name}.txt"


def choose(folder: Path, want: str, targets: list[Target], kept: dict[str, Any]) -> tuple[str, Target]:
    """Return the lock for ``want`` and the target; of a lock with two builds of torch the small one, if offered for one of ``targets``."""
    if place(want)[1].exists():
        return want, targets[0]
    for name in kept.get("locks", []):
        if name.startswith(f"{want}-") and kept["python"] == targets[0].python:
            return name, targets[0]
    for target in targets:
        say(f"looking for the CPU build of torch for Python {target.python}")
        if fetch(
            folder,
            [entry for entry in entries(place(f"{want}-cpu")[1], target) if entry.startswith("torch==")],
            target,
        ):
            return f"{want}-cpu", target
    return f"{want}-index", targets[0]


def complete(folder: Path, locks: dict[str, Path], target: Target) -> tuple[dict[str, Any], bool]:
    """Bring ``folder`` to what ``locks`` name; return its wheels, and whether something changed."""
    wanted = {name: entries(path, target) for name, path in locks.items()}
    every = list(dict.fromkeys(entry for each in wanted.values() for entry in each))
    before = len([path for path in folder.iterdir() if path.is_file()])
    files, lacking = tidy(folder, every, target)
    if not lacking:
        return files, len(files) != before
    size = sum(MEGABYTES.get(name, 4000 if "-own-" in name else 1) for name in locks)
    say(f"{len(lacking)} of {len(every)} wheels are to be fetched; all of them are about {size} MB")
    for name in locks:
        todo = [entry for entry in wanted[name] if entry in lacking]
        lacking = [entry for entry in lacking if entry not in todo]
        if todo and not fetch(folder, todo, target):
            sys.exit(
                f"A wheel of {locks[name]} for Python {target.python} was not fetched; pip says above which and why.\n"
                "Is the package index reachable (PIP_INDEX_URL, PIP_FIND_LINKS, proxies)? What was fetched stays: run it again."
            )
    return tidy(folder, every, target)[0], True


def main() -> None:
    """Make the bundle and tell what it holds."""
    options = arguments()
    path, folder = options.directory / "manifest.json", options.directory / "wheels"
    if not path.exists() and options.directory.exists() and any(options.directory.iterdir()):
        sys.exit(
            f"{options.directory} is not empty and no bundle, and files would be removed there. Choose another bundle_directory."
        )
    folder.mkdir(parents=True, exist_ok=True)
    before = path.read_text(encoding="utf-8") if path.exists() else "{}"
    whole_file.write(path, before)  # says from now on whose directory it is
    candidates = [each.split(",") for each in options.python]
    kept, own = json.loads(before), f"{sys.version_info.major}.{sys.version_info.minor}"
    suits = [python for python in candidates[0] if all(python in each for each in candidates)]
    if not suits:
        sys.exit(
            f"No Python suits every lock and bundle_python: {' and '.join(options.python)} have none in common."
        )
    machine, *others = dict.fromkeys(options.machine)
    if others or machine not in GLIBC:
        sys.exit(
            f"A bundle is for one architecture, {' or '.join(GLIBC)}; these hosts have {' and '.join(options.machine)}. Make one for each"
            " kind of host: --limit, and -e bundle_machine=ARCHITECTURE."
        )
    targets = [
        Target(python, machine)
        for python in sorted(suits, key=lambda python: (python != kept.get("python"), python != own))
    ]
    locks: dict[str, Path] = {}
    for want in sorted(
        options.want, key=lambda want: place(want)[1].exists()
    ):  # the one that decides comes first
        chosen, target = choose(folder, want, targets, kept)
        name, lock = place(chosen)
        if locks.setdefault(name, lock) != lock:
            sys.exit(f"{locks[name]} and {lock} are two locks of one file name; rename one.")
        targets = [target]
    files, changed = complete(folder, locks, target)
    manifest = {
        "locks": {name: content_id([lock]) for name, lock in locks.items()},
        "python": target.python,
        "platform": target.platforms[0],
        "wheels": files,
    }
    if options.model:
        found = sorted(each for each in options.model.rglob("*") if each.is_file())
        say(f"reading {len(found)} files of {options.model}")
        manifest["model"] = {str(each.relative_to(options.model)): describe(each) for each in found}
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    whole_file.write(path, text)
    megabytes = round(sum(about["size"] for about in files.values()) / 1e6)
    summary = {"changed": changed or text != before, "wheels": len(files), "megabytes": megabytes}
    print(json.dumps(summary | {"python": target.python, "locks": list(locks)}))


if __name__ == "__main__":
    main()
