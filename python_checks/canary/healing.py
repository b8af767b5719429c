"""Have a service restarted that hangs: by its manager, or where we may not, by a socket behind which root does it."""

import re
import socket
from pathlib import Path

from python_checks.core.result import CheckError, Fault, shorten
from python_checks.core.say import say
from python_checks.service import managers
from python_checks.service.registry import Row
from python_checks.service.unit import TIMEOUT, Unit

_VERDICT = re.compile(r"restart (\w+): (.*?)(?: \| time=[\d.]+s)?$")


def restart(row: Row, judged: Unit, restarter: Path | None) -> None:
    """Begin a restart of a service that runs as it was judged, and do not wait for its end.

    Args:
        row: The service.
        judged: Its process.
        restarter: The socket of who may restart it (steps/restart.py, --judged), None when we may.

    Raises:
        CheckError: it was refused.
    """
    if restarter is None:
        managers.reader(row.manager).heal(row)
        return
    said = _ask(restarter, f"{judged.pid} {judged.started}\n")
    verdict = _VERDICT.match(said)
    if not verdict or verdict[1] != "OK":
        words = shorten(verdict[2] if verdict else said) or say("its restarter says nothing")
        raise CheckError(Fault(words, say("see its journal")))


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
        remedy = say("sudo systemctl restart {name}-restart.socket; without it: deploy", name=path.stem)
        raise CheckError(
            Fault(say("{path} gives no restart: {error}", path=path, error=error), remedy)
        ) from error
