"""Module ``systemd_state``: what systemd knows about services, in the words that ``supervisor_state`` uses too. It changes nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: systemd_state
author: vllm-deploy
short_description: What systemd knows about services
options:
  services: {description: Names of the services., type: list, elements: str, required: true}
  releases: {description: "Directory with SERVICE/current, a link to the activated release.", type: path, required: true}
"""
RETURN = """
manager: {description: The name of the manager., type: str, returned: always}
services:
  description: >-
    Name -> state (running, starting, stopping, restarting, stopped, failed, down, absent); words, detail and told (the manager's); pid;
    since (of this state, in seconds of the epoch); restarts in restarts_hours (0 - since the last start by hand), gave_up, ended;
    running, current and stale are about releases; command, log, boot; start, restart and history are commands for a person.
  type: dict
  returned: always
"""
PROPERTIES = (
    "LoadState,ActiveState,SubState,StatusText,Result,NRestarts,MainPID,StateChangeTimestamp,ExecMainCode,"
    "ExecMainStatus,UnitFileState,FragmentPath"
)
RESTARTED = (
    "5eb03494b6584870a536b337290809b3"  # the journal's id of "Scheduled restart job" (systemd/sd-messages.h)
)
HOURS = 24
TOLD = 15  # lines of the journal: those of one try, and what systemd says when it gives up
UNUSABLE = ("bad-setting", "error")  # a unit that cannot be loaded
# Results that say more than how the process ended.
RESULTS = ("oom-kill", "timeout", "watchdog", "start-limit-hit", "resources", "exec-condition", "protocol")
STATES = {"active": "running", "reloading": "running", "activating": "starting", "deactivating": "stopping"}


def run(*command: str) -> str:
    """Return what a program prints; a failure is an exception."""
    environment = os.environ | {"LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return done.stdout


def journal(*arguments: str) -> list[dict[str, Any]] | None:
    """Return entries of the journal, or None where there is no journal."""
    try:
        text = run("journalctl", "--quiet", "--output=json", "--output-fields=MESSAGE", *arguments)
    except (OSError, subprocess.SubprocessError):
        return None
    return [json.loads(line) for line in text.splitlines()]


def unit_file(path: str) -> tuple[list[str], str]:
    """Return the command and the log of a unit file; systemctl shows neither in full."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return [], ""
    command = re.search(r"(?m)^ExecStart=(.*)$", text)
    log = re.search(r"(?m)^StandardOutput=(?:append|file|truncate):(.*)$", text)
    words = shlex.split(command[1]) if command else []
    return [word.replace("%%", "%").replace("$$", "$") for word in words], (
        log[1].replace("%%", "%") if log else ""
    )


def link(path: Path) -> str:
    """Return where a link points to, empty when there is none."""
    return os.readlink(path) if path.is_symlink() else ""


def ended(shown: dict[str, str]) -> str:
    """Return how the main process ended, in words; with the result where that says more."""
    status, words = int(shown["ExecMainStatus"] or 0), []
    if shown["ExecMainCode"] in ("2", "3"):  # CLD_KILLED, CLD_DUMPED
        words = [f"killed by {signal.Signals(status).name}"]
    elif shown["ExecMainCode"] == "1":
        words = [f"exit code {status}"]
    return ", ".join([*words, *([shown["Result"]] if shown["Result"] in RESULTS else [])])


def told(unit: str) -> list[str]:
    """Return what the journal says of a unit's last try, each line once.

    What fails before the program runs is said by the process that systemd makes for it, under the service's user or root: it knows why.
    """
    lines = journal(f"--lines={TOLD}", f"UNIT={unit}", "_UID=0", "+", f"UNIT={unit}", f"_SYSTEMD_UNIT={unit}")
    # What is no UTF-8 comes as the numbers of its bytes.
    said = (line["MESSAGE"] for line in lines or [] if line.get("MESSAGE"))
    return list(
        dict.fromkeys(
            each if isinstance(each, str) else bytes(each).decode(errors="replace") for each in said
        )
    )


def state(name: str, releases: Path) -> dict[str, Any]:
    """Return what is known about one service."""
    unit = f"{name}.service"
    text = run("systemctl", "show", unit, f"--property={PROPERTIES}", "--timestamp=unix")
    shown = dict(line.partition("=")[::2] for line in text.splitlines())
    kind = STATES.get(shown["ActiveState"], "failed" if shown["ActiveState"] == "failed" else "stopped")
    if shown["SubState"] == "auto-restart":
        kind = "restarting"
    if shown["LoadState"] == "not-found":
        kind = "absent"
    elif kind == "stopped" and shown["LoadState"] in UNUSABLE:
        kind = "failed"
    command, log = unit_file(shown["FragmentPath"])
    restarts = journal("_PID=1", f"UNIT={unit}", f"MESSAGE_ID={RESTARTED}", f"--since=-{HOURS}h")
    last = told(unit)
    gave_up = kind == "failed" and any("repeated too quickly" in line for line in last)
    odd = shown["LoadState"] if shown["LoadState"] in ("masked", *UNUSABLE) else ""
    pid = int(shown["MainPID"] or 0)
    current = link(releases / name / "current")
    running = Path("/run/vllm-deploy", name)
    released = running.read_text(encoding="utf-8").strip() if pid and running.exists() else ""
    return {
        "state": kind,
        "words": odd or " ".join(dict.fromkeys((shown["ActiveState"], shown["SubState"]))),
        "detail": shown["StatusText"],
        "pid": pid,
        "since": float(shown["StateChangeTimestamp"].lstrip("@") or 0),
        # reset-failed sets NRestarts to zero, and a deploy begins with it: the journal forgets nothing.
        "restarts": int(shown["NRestarts"] or 0) if restarts is None else len(restarts),
        "restarts_hours": 0 if restarts is None else HOURS,
        "gave_up": gave_up,
        "told": last,
        "ended": "" if odd else ended(shown) or shown["Result"],
        "running": released,
        "current": current,
        "stale": bool(pid and current and released != current),
        "command": command,
        "log": log,
        "boot": shown["UnitFileState"] in ("enabled", "enabled-runtime"),
        # Its limit refuses a person's start, too.
        "start": f"{'systemctl reset-failed ' + name + '; ' if gave_up else ''}"
        f"{'systemctl unmask ' + name + '; ' if odd == 'masked' else ''}systemctl start {name}",
        "restart": f"systemctl restart {name}",
        "history": f"journalctl -u {name} -n 50",
    }


def main() -> None:
    """Return what systemd knows."""
    spec = {
        "services": {"type": "list", "elements": "str", "required": True},
        "releases": {"type": "path", "required": True},
    }
    module = AnsibleModule(spec, supports_check_mode=True)
    try:
        services = {name: state(name, Path(module.params["releases"])) for name in module.params["services"]}
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or "").strip()
        module.fail_json(msg=f"systemd cannot be asked: {error}. {said}".strip())
    module.exit_json(changed=False, manager="systemd", services=services)


if __name__ == "__main__":
    main()
