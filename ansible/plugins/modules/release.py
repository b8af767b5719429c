"""Module ``release``: releases of one service on a host. A release is one file (unit or program), named by its version and content."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.secret_sets import Sets

DOCUMENTATION = """
module: release
author: vllm-deploy
short_description: Keep, activate and remove the releases of a service
description: >-
  C(planned) only tells the id that a content has; C(present) keeps it, once C(verify) accepts the file; C(active) installs the file of a
  release where the manager reads it and switches C(current); C(good) marks it as proven and removes what is older than the last C(keep);
  C(absent) removes it, unless it was proven once.
options:
  root: {description: Directory of the releases., type: path, required: true}
  state: {description: What to do., type: str, required: true, choices: [planned, present, active, good, absent]}
  id: {description: "The release, for active, good and absent.", type: str}
  file: {description: Name of the file., type: str, required: true}
  content: {description: "The file; C(@RELEASE@) in it becomes the id.", type: str}
  version: {description: First part of the id., type: str}
  verify: {description: "A command that prints what is wrong with a unit; its path is appended.", type: list, elements: str}
  install: {description: Where the manager reads the file., type: path}
  mode: {description: Mode of the files., type: str, default: "0644"}
  running: {description: A file with the id of the release that runs., type: path}
  secrets: {description: "The sets of secrets that the files name; active switches, good and absent remove others.", type: path}
  keep: {description: How many proven releases stay., type: int, default: 3}
  belongings: {description: Patterns of directories that go unless a release that stays names them., type: list, elements: str, default: []}
"""
RETURN = """
id: {description: The release., type: str, returned: always}
exists: {description: Whether it is kept., type: bool, returned: always}
current: {description: The release that was activated before this, type: str, returned: always}
good: {description: "Proven releases, the last proven first.", type: list, returned: always}
running: {description: "The release that runs, empty when none does.", type: str, returned: always}
lacks: {description: "Proven release -> variables of its secrets that the host has no more; none without.", type: dict, returned: always}
removed: {description: Paths that were removed., type: list, returned: good}
"""
SPEC = {
    "root": {"type": "path", "required": True},
    "state": {
        "type": "str",
        "required": True,
        "choices": ["planned", "present", "active", "good", "absent"],
    },
    "id": {"type": "str"},
    "file": {"type": "str", "required": True},
    "content": {"type": "str"},
    "version": {"type": "str"},
    "verify": {"type": "list", "elements": "str"},
    "install": {"type": "path"},
    "mode": {"type": "str", "default": "0644"},
    "running": {"type": "path"},
    "secrets": {"type": "path"},
    "keep": {"type": "int", "default": 3},
    "belongings": {"type": "list", "elements": "str", "default": []},
}
GOOD = ".good"  # its time is that of the last proof


class Releases:
    """The releases below a directory."""

    def __init__(self, root: Path, file: str, mode: int) -> None:
        """Each keeps ``file`` with ``mode``."""
        self.root, self.file, self.mode = root, file, mode

    @property
    def current(self) -> str:
        """Return the activated release, empty when there is none."""
        link = self.root / "current"
        return os.readlink(link) if link.is_symlink() else ""

    def good(self) -> list[str]:
        """Return the proven releases, the last proven first."""
        marks = sorted(self.root.glob(f"*/{GOOD}"), key=lambda mark: mark.stat().st_mtime_ns, reverse=True)
        return [mark.parent.name for mark in marks if not mark.parent.is_symlink()]

    def text(self, release: str) -> str:
        """Return the file of a release, empty when there is none."""
        path = self.root / release / self.file
        return path.read_text(encoding="utf-8") if release and path.exists() else ""

    def keep(self, release: str, content: str, verify: list[str]) -> None:
        """Keep a release, or raise ValueError with what is wrong with its file."""
        unfinished = self.root / f".{release}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o755)
        write(unfinished / self.file, content, self.mode)
        if verify:
            argv = [*verify, str(unfinished / self.file)]
            reply = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
            # Of units that this one names, others may have faults too. A misspelt key is only said, with exit code 0.
            lines = [line for line in reply.stderr.splitlines() if self.file in line]
            if lines or reply.returncode:
                shutil.rmtree(unfinished)
                raise ValueError("\n".join(lines) or reply.stderr)
        unfinished.rename(self.root / release)

    def activate(self, release: str, install: Path) -> bool:
        """Install the file of a release and switch ``current`` to it; tell whether anything changed."""
        changed = False
        content = self.text(release)
        if not install.exists() or install.read_text(encoding="utf-8") != content:
            write(install, content, self.mode)
            changed = True
        if self.current != release:
            unfinished = self.root / ".current"
            unfinished.unlink(missing_ok=True)
            unfinished.symlink_to(release)
            unfinished.replace(self.root / "current")
            changed = True
        return changed

    def remove(self, release: str, install: Path) -> None:
        """Remove a release, and its installed file where it is the current one."""
        if self.current == release:
            install.unlink(missing_ok=True)
            (self.root / "current").unlink()
        shutil.rmtree(self.root / release)

    def superfluous(self, keep: int, belongings: list[str]) -> list[Path]:
        """Return releases that were followed by ``keep`` proven ones, and what none of those that stay names."""
        stay = {self.current, *self.good()[:keep]}
        releases = [path for path in self.root.glob("*") if not path.is_symlink()]
        texts = [self.text(release) for release in stay]
        return [path for path in releases if path.name not in stay] + [
            path
            for pattern in belongings
            for path in Path(pattern).parent.glob(Path(pattern).name)
            if path.is_dir() and not any(str(path) in text for text in texts)
        ]


def write(path: Path, content: str, mode: int) -> None:
    """Replace a file at once."""
    path.parent.mkdir(parents=True, exist_ok=True)  # of supervisord's programs
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(content, encoding="utf-8")
    unfinished.chmod(mode)
    unfinished.replace(path)


def act(releases: Releases, given: dict[str, Any], release: str, dry: bool) -> dict[str, Any]:
    """Do what ``state`` asks for and return the result; ``dry`` only tells."""
    state, exists = given["state"], (releases.root / release).is_dir()
    if state == "present" and not exists:
        if not dry:
            releases.keep(release, given["content"].replace("@RELEASE@", release), given["verify"] or [])
        return {"changed": True}
    if state == "active":
        stale = given["running"] is not None and running(given["running"]) != release
        if dry:
            return {"changed": stale or releases.current != release}
        return {"changed": releases.activate(release, Path(given["install"])) or stale}
    if state == "good":
        new = release not in releases.good()
        removed = releases.superfluous(given["keep"], given["belongings"])
        if not dry:
            if new:
                (releases.root / release / GOOD).touch()
                removed = releases.superfluous(given["keep"], given["belongings"])
            for path in removed:
                shutil.rmtree(path)
                for beside in (".lock", ".complete"):  # what it was installed from, and that it was
                    Path(f"{path}{beside}").unlink(missing_ok=True)
        return {"changed": new or bool(removed), "removed": [str(path) for path in removed]}
    if state == "absent" and exists and release not in releases.good():
        if not dry:
            releases.remove(release, Path(given["install"]))
        return {"changed": True}
    return {"changed": False}


def act_with_secrets(
    releases: Releases, secrets: Sets, given: dict[str, Any], release: str, dry: bool
) -> dict[str, Any]:
    """Do the same, and have the release that is activated get its secrets, and what is proven leave no others."""
    # First, so that at no time a release that needs secrets is installed and has none.
    moved = given["state"] == "active" and secrets.follow(releases.text(release), dry)
    result = act(releases, given, release, dry)
    if given["state"] in ("good", "absent"):
        moved = secrets.prune(releases.text(releases.current), dry)
    return result | {"changed": result["changed"] or moved}


def running(path: str | None) -> str:
    """Return the release that runs."""
    file = Path(path or os.devnull)
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def main() -> None:
    """Do what is asked, and tell what was there before."""
    module = AnsibleModule(SPEC, supports_check_mode=True)
    given = module.params
    releases = Releases(Path(given["root"]), given["file"], int(given["mode"], 8))
    release = given["id"] or ""
    if given["content"] is not None:
        content = f"{given['file']}\n{given['content']}".encode()
        release = f"{given['version']}-{hashlib.sha256(content).hexdigest()[:12]}"
    before = {"id": release, "current": releases.current, "good": releases.good()}
    before |= {"exists": (releases.root / release).is_dir(), "running": running(given["running"])}
    secrets = Sets(Path(given["secrets"] or os.devnull))
    lacking = {each: secrets.lacking(releases.text(each)) for each in before["good"]}
    before["lacks"] = {each: names for each, names in lacking.items() if names}
    diff = {"before": releases.text(releases.current), "before_header": releases.current}
    try:
        result = act_with_secrets(releases, secrets, given, release, module.check_mode)
    except ValueError as error:
        module.fail_json(msg=f"{given['file']} is not accepted by {given['verify'][0]}: {error}", **before)
    if given["content"] is not None:
        wanted = given["content"].replace("@RELEASE@", release)
        result["diff"] = diff | {"after": wanted, "after_header": release}
    module.exit_json(**before, **result)


if __name__ == "__main__":
    main()
