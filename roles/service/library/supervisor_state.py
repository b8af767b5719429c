"""Module ``supervisor_state``: what supervisord knows about services, in the words that ``systemd_state`` uses too. It changes nothing."""

from __future__ import annotations

import configparser
import contextlib
import itertools
import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: supervisor_state
author: vllm-deploy
short_description: What supervisord knows about services
options:
  services: {description: Names of the services., type: list, elements: str, required: true}
  releases: {description: "Directory with SERVICE/current, a link to the activated release.", type: path, required: true}
  directory: {description: "Where supervisord has its configuration, its socket and its log.", type: path, required: true}
  control: {description: The command supervisorctl with its options., type: list, elements: str, required: true}
"""
RETURN = """
manager: {description: The name of the manager., type: str, returned: always}
services: {description: "Name -> state and more, as systemd_state returns it.", type: dict, returned: always}
"""
HOURS = 24
DOWN = "supervisord does not run"
STATES = {
    "RUNNING": "running",
    "STARTING": "running",  # within its first 30 s; whether it answers supervisord never knows
    "STOPPING": "stopping",
    "BACKOFF": "restarting",
    "STOPPED": "stopped",
    "FATAL": "failed",
    "EXITED": "failed",
    DOWN: "down",
}
# 2026-11-24 12:00:00,123 WARN exited: vllm (terminated by SIGKILL; not expected)
EVENT = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ \w+ (exited|spawned|stopped): '?([\w-]+)'? (.*)$")


def ask(control: list[str], *words: str) -> list[str]:
    """Return what supervisorctl says; its exit code is that of a service, so only the words count."""
    done = subprocess.run([*control, *words], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.splitlines()


def events(directory: Path, name: str) -> list[tuple[float, str, str]]:
    """Return time, kind and words of what supervisord's log tells about a service, oldest first."""
    found = []
    for path in sorted(directory.glob("supervisord.log*"), reverse=True):  # log.2, log.1, log
        for line in path.read_text(errors="replace").splitlines():
            match = EVENT.match(line)
            if match and match[3] == name:
                when = time.mktime(time.strptime(match[1], "%Y-%m-%d %H:%M:%S"))
                found.append((when, match[2], match[4].strip("()")))
    return found


def restarts(story: list[tuple[float, str, str]]) -> int:
    """Count starts that follow an unrequested end, within the last HOURS."""
    pairs = itertools.pairwise(story)
    return sum(
        (before[1], after[1]) == ("exited", "spawned") and after[0] > time.time() - HOURS * 3600
        for before, after in pairs
    )


def program(path: Path, name: str) -> tuple[list[str], str]:
    """Return the command and the log of a service from its configuration."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;",), strict=False)
    if not parser.read(path, encoding="utf-8") or not parser.has_section(f"program:{name}"):
        return [], ""
    section = parser[f"program:{name}"]
    words = shlex.split(section.get("command", "").replace("%%", "%"))
    if words and words[0].endswith("/with-secrets"):  # it becomes the command that is behind its files
        words = words[words.index("--") + 1 :]
    return words, section.get("stdout_logfile", "").replace("%%", "%")


def state(name: str, given: dict[str, Any], said: str, changed: bool) -> dict[str, Any]:
    """Return what is known about one service; ``said`` is supervisord's word for its state, with the reason where it failed."""
    word, _, reason = said.partition(" ") if said != DOWN else (DOWN, "", "")
    link = Path(given["releases"]) / name / "current"
    command, log = program(Path(given["directory"]) / f"conf.d/{name}.ini", name)
    current = os.readlink(link) if link.is_symlink() else ""
    story = events(Path(given["directory"]), name)
    ends = [words for _, kind, words in story if kind != "spawned"]
    pids = [int(words.split()[-1]) for _, kind, words in story if kind == "spawned"]
    pid = pids[-1] if pids and word in ("RUNNING", "STARTING", "STOPPING") else 0
    begin = [*given["control"], "start" if word else "update", name]  # what it does not hold is read first
    if word == DOWN:
        begin = [given["control"][0].replace("supervisorctl", "supervisord"), *given["control"][1:]]
    return {
        "state": STATES.get(word, "stopped") if command else "absent",
        "words": word or "unknown to supervisord",
        "detail": "",
        "pid": pid,
        "since": story[-1][0] if story else 0.0,
        "restarts": restarts(story),
        "restarts_hours": HOURS,
        "gave_up": word == "FATAL",
        "told": [*filter(None, [reason]), *(f"{kind}: {words}" for _, kind, words in story[-3:])],
        "ended": ends[-1] if ends else "",
        "running": current if pid and not changed else "",
        "current": current,
        "stale": bool(pid and current and changed),
        "command": command,
        "log": log,
        "boot": False,  # by supervisord, and nothing starts that with the host
        "start": shlex.join(begin),
        "restart": shlex.join([*given["control"], "restart", name]),
        "history": f"tail -n 50 {given['directory']}/supervisord.log",
    }


def main() -> None:
    """Return what supervisord knows."""
    spec = {
        "services": {"type": "list", "elements": "str", "required": True},
        "releases": {"type": "path", "required": True},
        "directory": {"type": "path", "required": True},
        "control": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(spec, supports_check_mode=True)
    given = module.params
    words, changed = dict.fromkeys(given["services"], DOWN), ""
    with contextlib.suppress(OSError):  # not even installed
        if "".join(ask(given["control"], "pid")).isdecimal():
            lines = (line.split(maxsplit=2) for line in ask(given["control"], "status"))
            # What stands behind the word is a reason where it could not be started, else pid and time.
            words = dict.fromkeys(given["services"], "") | {
                name: " ".join([word, *(rest if word in ("FATAL", "BACKOFF") else [])])
                for name, word, *rest in lines
            }
            # What it holds in memory against its files; it only reads them, nothing is restarted.
            changed = "\n".join(ask(given["control"], "reread"))
    services = {
        name: state(name, given, words[name], f"{name}: changed" in changed) for name in given["services"]
    }
    module.exit_json(changed=False, manager="supervisor", services=services)


if __name__ == "__main__":
    main()
