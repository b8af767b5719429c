"""What systemd knows of a service, in the words that supervisor.py uses too; and a restart by it."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from python_checks.core import command
from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import say
from python_checks.service import journal, reloading
from python_checks.service.facts import Service
from python_checks.service.registry import Row
from python_checks.service.unit import Unit, call, of, puzzle

PROPERTIES = (
    "LoadState,ActiveState,SubState,StatusText,Result,NRestarts,MainPID,StateChangeTimestamp,ExecMainCode,"
    "ExecMainStatus,UnitFileState,FragmentPath"
)
TIMEOUT = 60.0  # seconds for one answer with all that a person wants to know
STATES = {
    "active": "running",
    "reloading": "running",
    "activating": "starting",
    "deactivating": "stopping",
    "inactive": "stopped",
    "failed": "failed",
}
STARTING = ("activating", "reloading", "deactivating")
UNUSABLE = ("bad-setting", "error")  # a unit that cannot be loaded
# Results that say more than how the process ended.
RESULTS = ("oom-kill", "timeout", "watchdog", "start-limit-hit", "resources", "exec-condition", "protocol")
RUNNING = Path("/run/vllm-deploy")  # each unit says there which release it runs


def ask(row: Row) -> Unit:
    """Return how a service is.

    Raises:
        CheckError: systemd does not tell.
    """
    output = call(["systemctl", "show", row.unit, "--property=LoadState,ActiveState,SubState,MainPID"])
    shown = dict(line.partition("=")[::2] for line in output.text.splitlines())
    state = STATES.get(shown.get("ActiveState", ""))
    if output.code or not state or shown.get("LoadState") == "not-found":
        raise CheckError(puzzle("systemd", row.unit, output.text))
    if shown.get("SubState") == "auto-restart":
        state = "restarting"
    # The unit's ExecStartPost waits for its first answer.
    return of(state, _words(shown), int(shown.get("MainPID") or 0), proven=True)


def heal(row: Row) -> None:
    """Begin a restart; a unit that was stopped, or is to be, in this very moment stays so: what an operator wants comes first.

    Raises:
        CheckError: systemd refuses it.
    """
    output = call(["systemctl", "--no-block", "--job-mode=fail", "try-restart", row.unit])
    if output.code:
        words = say("systemd refuses a restart: {text}", text=shorten(output.text))
        raise CheckError(Fault(words, say("run it as root")))


def restart(row: Row, tell: Callable[[str], None]) -> bool:
    """Restart a unit, or reload it where it can, also at boot from now on; tell whether it answers. `tell` hears its phases."""
    for words in ("daemon-reload",), ("reset-failed", row.unit), ("enable", "--quiet", row.unit):
        command.run(["systemctl", *words], TIMEOUT)  # the restart says what is wrong
    verb = "reload-or-restart" if reloading.possible(row.unit) else "restart"
    with subprocess.Popen(["systemctl", verb, row.unit], stderr=subprocess.DEVNULL) as job:
        while job.poll() is None:
            tell(_phase(_show(row.unit)))
    return job.returncode == 0


def follow(row: Row, tell: Callable[[str], None]) -> bool:
    """Follow a start under way, and tell whether the unit answers; its own TimeoutStartSec is the deadline."""
    while (state := _show(row.unit))["ActiveState"] in STARTING and state["SubState"] != "auto-restart":
        tell(_phase(state))
    return state["ActiveState"] == "active"


def outcome(row: Row) -> str:
    """Return in a word how the last start ended."""
    state = _show(row.unit)
    return state["Result"] or state["ActiveState"]


def services(rows: Sequence[Row]) -> dict[str, Service]:
    """Return name -> what is known about a service.

    Raises:
        CheckError: systemd cannot be asked.
    """
    return {row.name: _service(row) for row in rows}


def _service(row: Row) -> Service:
    shown = _show(row.unit)
    load = shown["LoadState"]
    kind = STATES.get(shown["ActiveState"], "stopped")
    if shown["SubState"] == "auto-restart":
        kind = "restarting"
    if load == "not-found":
        kind = "absent"
    elif kind == "stopped" and load in UNUSABLE:
        kind = "failed"
    words, log = _unit_file(shown["FragmentPath"])
    unit = f"{row.unit}.service"
    restarts, told = journal.restarts(unit), journal.told(unit)
    gave_up = kind == "failed" and any("repeated too quickly" in line for line in told)
    odd = load if load in ("masked", *UNUSABLE) else ""
    pid = int(shown["MainPID"] or 0)
    current, running = _link(Path(row.releases, "current")), RUNNING / row.name
    released = running.read_text(encoding="utf-8").strip() if pid and running.exists() else ""
    # Its limit refuses a person's start, too.
    reset = f"systemctl reset-failed {row.unit}; " if gave_up else ""
    unmask = f"systemctl unmask {row.unit}; " if odd == "masked" else ""
    return Service(
        row.name,
        row.kind,
        state=kind,
        words=odd or _words(shown),
        detail=shown["StatusText"],
        told=told,
        pid=pid,
        since=float(shown["StateChangeTimestamp"].lstrip("@") or 0),
        # reset-failed sets NRestarts to zero, and a deploy begins with it: the journal forgets nothing.
        restarts=int(shown["NRestarts"] or 0) if restarts is None else restarts,
        restarts_hours=0 if restarts is None else journal.HOURS,
        gave_up=gave_up,
        ended="" if odd else _ended(shown) or shown["Result"],
        running=released,
        current=current,
        stale=bool(pid and current and released != current),
        command=words,
        log=log,
        boot=shown["UnitFileState"] in ("enabled", "enabled-runtime"),
        start=f"{reset}{unmask}systemctl start {row.unit}",
        restart=f"systemctl restart {row.unit}",
        history=f"journalctl -u {row.unit} -n 50",
        address=row.url,
        health_path=row.health_path,
    )


def _show(unit: str) -> dict[str, str]:
    try:
        done = command.run(
            ["systemctl", "show", f"{unit}.service", f"--property={PROPERTIES}", "--timestamp=unix"], TIMEOUT
        )
    except OSError as error:
        raise CheckError(_unasked(str(error))) from error
    if done.code:
        raise CheckError(_unasked(done.text))
    return dict(line.partition("=")[::2] for line in done.text.splitlines())


def _unasked(said: str) -> Fault:
    words = say("systemd cannot be asked: {said}", said=shorten(said))
    return Fault(words, say("does this host run systemd?"), State.UNKNOWN)


def _words(shown: dict[str, str]) -> str:
    return " ".join(dict.fromkeys((shown["ActiveState"], shown.get("SubState", ""))))


def _phase(state: dict[str, str]) -> str:
    """Return what a unit does, in words."""
    if state["ActiveState"] == "deactivating":
        return say("stopping: running requests get their time to end")
    return state["StatusText"] or state["SubState"]


def _unit_file(path: str) -> tuple[list[str], str]:
    """Return the command and the log of a unit file; systemctl shows neither in full."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        return [], ""
    found = re.search(r"(?m)^ExecStart=(.*)$", text)
    log = re.search(r"(?m)^StandardOutput=(?:append|file|truncate):(.*)$", text)
    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(found[1])] if found else []
    return words, log[1].replace("%%", "%") if log else ""


def _link(path: Path) -> str:
    return os.readlink(path) if path.is_symlink() else ""


def _ended(shown: dict[str, str]) -> str:
    """Return how the main process ended, in words; with the result where that says more."""
    status, words = int(shown["ExecMainStatus"] or 0), []
    if shown["ExecMainCode"] in ("2", "3"):  # CLD_KILLED, CLD_DUMPED
        words = [say("killed by {signal}", signal=signal.Signals(status).name)]
    elif shown["ExecMainCode"] == "1":
        words = [say("exit code {status}", status=status)]
    return ", ".join([*words, *([shown["Result"]] if shown["Result"] in RESULTS else [])])
