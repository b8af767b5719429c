"""Ask the manager of a host about one service, and have it restarted; the checks besides the canary need neither."""

import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from python_checks.core import command
from python_checks.core.result import CheckError, Fault, State, shorten
from python_checks.core.say import say
from python_checks.host import processes

TIMEOUT = 10.0  # seconds for an answer
SYSTEMD = {
    "active": "running",
    "reloading": "running",
    "activating": "starting",
    "deactivating": "stopping",
    "inactive": "stopped",
    "failed": "failed",
}
SUPERVISOR = {
    "RUNNING": "running",
    "STARTING": "starting",
    "STOPPING": "stopping",
    "BACKOFF": "restarting",
    "STOPPED": "stopped",
    "FATAL": "failed",
    "EXITED": "failed",
}


class Unit(NamedTuple):
    """A service as its manager has it.

    Attributes:
        state: running, starting, stopping, restarting (ended, and is started again), stopped or failed.
        words: The manager's own.
        pid: Its main process while it runs, else 0.
        started: When that was, in clock ticks since boot: with the id it is nobody else's.
        age: Of that process, in seconds.
        proven: It is called running only once it has answered.
    """

    state: str
    words: str = ""
    pid: int = 0
    started: int = 0
    age: float = 0.0
    proven: bool = False


class Manager(Protocol):
    """What systemd and supervisord have in common here."""

    def ask(self) -> Unit:
        """Return how the service is.

        Raises:
            CheckError: that cannot be told.
        """

    def restart(self, judged: Unit) -> None:
        """Begin a restart of a service that runs as it was judged, and do not wait for its end.

        Raises:
            CheckError: it was refused.
        """


@dataclass(frozen=True)
class Systemd:
    """The system's systemd; `unit` as systemctl takes it; `restarter`: the socket of who may restart it, None when we may."""

    unit: str
    restarter: Path | None = None

    def ask(self) -> Unit:
        """Ask `systemctl show`."""
        output = _run(["systemctl", "show", self.unit, "--property=LoadState,ActiveState,SubState,MainPID"])
        shown = dict(line.partition("=")[::2] for line in output.text.splitlines())
        state = SYSTEMD.get(shown.get("ActiveState", ""))
        if output.code or not state or shown.get("LoadState") == "not-found":
            raise CheckError(_puzzle("systemd", self.unit, output.text))
        if shown.get("SubState") == "auto-restart":
            state = "restarting"
        words = " ".join(dict.fromkeys((shown["ActiveState"], shown.get("SubState", ""))))
        # The unit's ExecStartPost waits for its first answer.
        return _unit(state, words, int(shown.get("MainPID") or 0), proven=True)

    def restart(self, judged: Unit) -> None:
        """Restart it unless it was stopped, or is to be, in this very moment: what an operator wants comes first."""
        if self.restarter:
            said = _ask(self.restarter, f"{judged.pid} {judged.started}\n")
            if said != "restarted":
                raise CheckError(
                    Fault(shorten(said) or say("its restarter says nothing"), say("see its journal"))
                )
            return
        output = _run(["systemctl", "--no-block", "--job-mode=fail", "try-restart", self.unit])
        if output.code:
            raise CheckError(
                Fault(
                    say("systemd refuses a restart: {text}", text=shorten(output.text)), say("run it as root")
                )
            )


@dataclass(frozen=True)
class Supervisor:
    """A supervisord; `control` is supervisorctl with its options."""

    name: str
    control: tuple[str, ...]

    def ask(self) -> Unit:
        """Ask `supervisorctl status`; its exit code is that of the service, so only the words count."""
        output = _run([*self.control, "status", self.name])
        found = re.match(rf"{re.escape(self.name)} +([A-Z]+) *(?:pid (\d+))?", output.text)
        state = SUPERVISOR.get(found[1]) if found else None
        if not found or not state:
            raise CheckError(_puzzle("supervisord", self.name, output.text))
        return _unit(state, found[1], int(found[2] or 0), proven=False)

    def restart(self, judged: Unit) -> None:
        """Restart it in the background, out of reach of the end of this process: half a restart is a stop."""
        null = subprocess.DEVNULL
        words = [*self.control, "restart", self.name]
        subprocess.Popen(words, stdin=null, stdout=null, stderr=null, start_new_session=True)


def chosen(
    name: str, unit: str, supervisorctl: str, configuration: Path | None, restarter: Path | None = None
) -> Manager:
    """Return the manager called `name`: systemd or supervisor."""
    if name == "systemd":
        return Systemd(unit, restarter)
    options = ("--configuration", str(configuration)) if configuration else ()
    return Supervisor(unit, (supervisorctl, *options))


def _unit(state: str, words: str, pid: int, proven: bool) -> Unit:
    if state != "running":
        return Unit(state, words)
    facts = processes.stat(pid)
    if facts is None:
        return Unit("restarting", say("{words}, but its process {pid} has ended", words=words, pid=pid))
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - facts.started / os.sysconf("SC_CLK_TCK")
    return Unit(state, words, pid, facts.started, age, proven)


def _run(words: list[str]) -> command.Output:
    try:
        return command.run(words, TIMEOUT)
    except OSError as error:  # TimeoutError too
        raise CheckError(_puzzle(words[0], "it", str(error))) from error


def _ask(path: Path, words: str) -> str:
    """Return the line that a program behind a socket answers with.

    Raises:
        CheckError: there is none.
    """
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(TIMEOUT)
            channel.connect(str(path))
            channel.sendall(words.encode())
            channel.shutdown(socket.SHUT_WR)
            with channel.makefile("rb") as answer:
                return answer.readline(500).decode(errors="replace").strip()
    except OSError as error:
        remedy = say("sudo systemctl restart canary-restart.socket; without it: deploy")
        raise CheckError(
            Fault(say("{path} gives no restart: {error}", path=path, error=error), remedy)
        ) from error


def _puzzle(who: str, unit: str, said: str) -> Fault:
    remedy = say("is it deployed here, under this manager and name (--manager, --unit)?")
    return Fault(
        say(
            "{who} does not tell how {unit} is: {said}",
            who=who,
            unit=unit,
            said=shorten(said) or say("no words"),
        ),
        remedy,
        State.UNKNOWN,
    )
