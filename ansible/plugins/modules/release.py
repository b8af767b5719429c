"""Module ``release``: releases of one service on a host. A release is one file (unit or program), named by its version and content."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.releases import LEFT, Releases
from ansible.module_utils.secret_sets import Sets

DOCUMENTATION = """
module: release
author: vllm-deploy
short_description: Keep, activate and remove the releases of a service
description: >-
  C(planned) only tells the id that a content has; C(present) keeps it, once C(verify) accepts the file; C(active) installs the file of a
  release where the manager reads it and switches C(current), and from then on it is on trial; C(good) ends that: it is proven, and what
  is older than the last C(keep) goes; C(left) notes that it was left for another one; C(absent) removes it, or, if it was proven once,
  leaves it.
options:
  root: {description: Directory of the releases., type: path, required: true}
  state: {description: What to do., type: str, required: true, choices: [planned, present, active, good, left, absent]}
  id: {description: "The release, for active, good, left and absent.", type: str}
  file: {description: Name of the file., type: str, required: true}
  content: {description: "The file; C(@RELEASE@) in it becomes the id.", type: str}
  version: {description: First part of the id., type: str}
  verify: {description: "A command that prints what is wrong with a unit; its path is appended.", type: list, elements: str}
  install: {description: Where the manager reads the file., type: path}
  mode: {description: Mode of the files., type: str, default: "0644"}
  row: {description: "The service's row in the registry; active has it follow what is activated.", type: path}
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
left: {description: "Those of them that were left for another one, and not proven since.", type: list, returned: always}
candidates: {description: "Proven releases to go back to from the current one, the best first.", type: list, returned: always}
back: {description: "What is to serve again if this release fails; empty when nothing served before.", type: str, returned: always}
unproven: {description: Whether the release that is activated was not proven since., type: bool, returned: always}
running: {description: "The release that runs, empty when none does.", type: str, returned: always}
rowless: {description: Releases that an earlier version made and that have no row of the registry., type: list, returned: always}
lacks: {description: "Proven release -> variables of its secrets that the host has no more; none without.", type: dict, returned: always}
removed: {description: Paths that were removed., type: list, returned: good}
"""
SPEC = {
    "root": {"type": "path", "required": True},
    "state": {
        "type": "str",
        "required": True,
        "choices": ["planned", "present", "active", "good", "left", "absent"],
    },
    "id": {"type": "str"},
    "file": {"type": "str", "required": True},
    "content": {"type": "str"},
    "version": {"type": "str"},
    "verify": {"type": "list", "elements": "str"},
    "install": {"type": "path"},
    "mode": {"type": "str", "default": "0644"},
    "row": {"type": "path"},
    "running": {"type": "path"},
    "secrets": {"type": "path"},
    "keep": {"type": "int", "default": 3},
    "belongings": {"type": "list", "elements": "str", "default": []},
}
ID = re.compile(r"[\w+][\w.+-]{0,100}", re.ASCII)  # a name of a directory, and no way out of it


def act(releases: Releases, given: dict[str, Any], release: str, dry: bool) -> dict[str, Any]:
    """Do what ``state`` asks for and return the result; ``dry`` only tells."""
    state, exists = given["state"], (releases.root / release).is_dir()
    if state == "present" and not exists:
        if not dry:
            releases.keep(release, given["content"].replace("@RELEASE@", release), given["verify"] or [])
        return {"changed": True}
    if state == "active":
        stale = given["running"] is not None and running(given["running"]) != release
        differs = releases.differs(release, Path(given["install"]))
        unregistered = given["row"] is not None and not releases.registered(Path(given["row"]))
        if (stale or differs) and not dry:
            releases.try_out(release)
            if differs:
                releases.activate(release, Path(given["install"]))
        if unregistered and not dry:
            releases.register(Path(given["row"]))
        return {"changed": stale or differs or unregistered}
    if state == "good":
        news = release not in releases.good() or release in releases.left() or releases.unproven()
        removed = releases.superfluous(given["keep"], given["belongings"])
        if not dry:
            releases.prove(release)
            removed = releases.superfluous(given["keep"], given["belongings"])
            for path in removed:
                shutil.rmtree(path)
                for beside in (".lock", ".complete"):  # what it was installed from, and that it was
                    Path(f"{path}{beside}").unlink(missing_ok=True)
        return {"changed": news or bool(removed), "removed": [str(path) for path in removed]}
    proven = release in releases.good()
    if state == "absent" and exists and not proven:
        if not dry:
            releases.remove(release, Path(given["install"]))
        return {"changed": True}
    if state in ("left", "absent") and proven and release not in (releases.current, *releases.left()):
        if not dry:
            (releases.root / release / LEFT).touch()
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
    if release and not ID.fullmatch(release):
        module.fail_json(msg=f"{release!r} is no name of a release.")
    before = {"id": release, "current": releases.current, "good": releases.good(), "left": releases.left()}
    before |= {"candidates": releases.candidates(), "back": releases.back(release)}
    before |= {"exists": (releases.root / release).is_dir(), "running": running(given["running"])}
    before["rowless"] = releases.rowless()
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
    module.exit_json(**before, **result, unproven=releases.unproven())


if __name__ == "__main__":
    main()
