"""Have the gateway take up a new configuration: running streams go on, and what it refuses leaves the old one serving."""

import argparse
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from python_checks.core import notify
from python_checks.core import options as opt
from python_checks.core.locked import locked
from python_checks.core.result import CheckError, Fault, Result, State, conclude
from python_checks.core.say import say
from python_checks.gateway import admin, drained
from python_checks.gateway import options as own
from python_checks.service import registry

NEEDS: tuple[str, ...] = ()

PAUSE = 0.2  # seconds between two looks
GOING_ON = 0.5  # seconds until what was held has seen that it may go on (hold.lua): in a process that ends, no server counts any more
MASTER = re.compile(r"^\d+\s+master\s+\d+ \[failed: (\d+)\]", re.MULTILINE)
WORKER = re.compile(r"^(\d+)\s+worker\b", re.MULTILINE)
START = 20.0  # seconds for a new process
DRAINED = re.compile(
    r"^(?!#)(?:\S+\s+){6}[1-9]", re.MULTILINE
)  # a server that was ordered out of the rotation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    own.add_socket(parser)
    parser.add_argument(
        "--master", type=Path, required=True, metavar="SOCKET", help="socket of the master process"
    )
    opt.add_deadline(parser, 900.0, "wait for a restart of what lies behind, and for the new process")


class Processes(NamedTuple):
    """What the master says: the process that serves, and how often a new one could not start."""

    serves: str
    failed: int


def run(options: argparse.Namespace) -> Result:
    """Wait until nothing is drained, reload, and wait for the new process."""
    file = Path(registry.one("gateway").options["drained"])
    try:
        with undrained(options.socket, file, time.monotonic() + options.deadline):
            return reload(options.master)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise CheckError(
            Fault(say("no gateway runs: {error}", error=error), say("systemctl start gateway"), State.UNKNOWN)
        ) from error


def reload(master: Path) -> Result:
    """Reload, and wait for the new process.

    Raises:
        FileNotFoundError, ConnectionRefusedError: no gateway runs.
        CheckError: there is none.
    """
    before = processes(admin.ask(master, "show proc"))
    with suppress(CheckError):  # a master that starts anew may cut its answer
        admin.ask(master, "reload")
    end = time.monotonic() + START
    while time.monotonic() < end:
        time.sleep(PAUSE)
        with suppress(FileNotFoundError, ConnectionRefusedError, CheckError):
            now = processes(admin.ask(master, "show proc"))
            if now.failed > before.failed:
                break
            if now.serves not in ("", before.serves) and _left(master, before.serves):
                words = say(
                    "process {new} serves; {old} ends with its last stream", new=now.serves, old=before.serves
                )
                return conclude("gateway-reload", [], words)
    raise CheckError(
        Fault(
            say("the gateway cannot start with what it is given; the old process serves on"),
            say("see the end of its log"),
        )
    )


def _left(master: Path, process: str) -> bool:
    """Tell whether a process takes nothing new any more, commands included."""
    return "Stopping: 0" not in admin.ask(master, f"@!{process} show info")


@contextmanager
def undrained(socket: Path, file: Path, end: float) -> Iterator[None]:
    """Wait until nothing is drained, and keep it so: requests that are held would stay with the old process, which no longer sees that
    their server is back.

    Raises:
        CheckError: it takes too long.
    """
    while True:
        with locked(file, drained.LOCKED):
            if not DRAINED.search(admin.ask(socket, "show servers state")):
                time.sleep(GOING_ON)
                yield
                return
        notify.status(say("reload: waiting until the services behind have restarted"))
        if time.monotonic() >= end:
            raise CheckError(
                Fault(
                    say("a service behind the gateway is drained, and requests wait for it"),
                    say("start that service first"),
                )
            )
        time.sleep(PAUSE)


def processes(shown: str) -> Processes:
    """Read an answer to `show proc`."""
    master, worker = MASTER.search(shown), WORKER.search(shown.partition("# old workers")[0])
    return Processes(worker[1] if worker else "", int(master[1]) if master else 0)
