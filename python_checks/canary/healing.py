"""Have a service restarted that hangs: by its manager, or where we may not, by a socket behind which root does it."""

import re
import socket
import sys
from pathlib import Path

from python_checks.core import command
from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import say
from python_checks.service import managers
from python_checks.service.registry import Row
from python_checks.service.unit import Unit

ANSWER = 50.0  # seconds for the restarter, which first has what explains the hang kept
KEEPS = 20.0  # seconds for that where we do it
_VERDICT = re.compile(r"restart (\w+): (.*?)(?: \| time=[\d.]+s)?$")


def restart(row: Row, judged: Unit, restarter: Path | None) -> str:
    """Have what explains the hang kept, begin a restart of a service that runs as it was judged, and do not wait for its end.

    Args:
        row: The service.
        judged: Its process.
        restarter: The socket of who may restart it (steps/restart.py, --judged), None when we may.

    Returns:
        What is to be said besides: why nothing was kept.

    Raises:
        CheckError: it was refused.
    """
    if restarter is None:
        # Root reads no memory of others: under systemd a unit of its own does (templates/systemd/incident.service.j2).
        said = _keep(row) if row.manager == "supervisor" and row.watch else ""
        managers.reader(row.manager).heal(row)
        return said
    said = _ask(restarter, f"{judged.pid} {judged.started}\n")
    verdict = _VERDICT.match(said)
    if not verdict or verdict[1] != "OK":
        words = shorten(verdict[2] if verdict else said) or say("its restarter says nothing")
        raise CheckError(Fault(words, say("see its journal")))
    return verdict[2].removeprefix("restarted")


def _keep(row: Row) -> str:
    """Keep it by a process of its own, which cannot hold the restart back; return why it was not kept."""
    words = [sys.executable, "-P", "-m", "python_checks", "incident", row.name, "--format", "text"]
    try:
        done = command.run(words, KEEPS)
        why = shorten(done.text) if done.code else ""
    except OSError as error:  # TimeoutError too
        why = str(error)
    return say(", and what explains the hang was not kept: {why}", why=why) if why else ""


def _ask(path: Path, words: str) -> str:
    """Return the line that a program behind a socket answers with.

    Raises:
        CheckError: there is none.
    """
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(ANSWER)
            channel.connect(str(path))
            channel.sendall(words.encode())
            channel.shutdown(socket.SHUT_WR)
            with channel.makefile("rb") as answer:
                return answer.readline(500).decode(errors="replace").strip()
    except OSError as error:
        remedy = say("sudo systemctl restart {name}-restart.socket; without it: deploy", name=path.stem)
        raise CheckError(
            Fault(say("{path} gives no restart: {error}", path=path, error=error), remedy)
        ) from error
