"""Restart a service, at boot from now on too, and follow its start until it answers; its phases are on standard error."""

import argparse
import sys
from functools import partial

from python_checks.core import command
from python_checks.core.result import Result, State, conclude, shorten
from python_checks.core.say import say
from python_checks.service import followed, managers, registry

NEEDS: tuple[str, ...] = ()
FORMAT = "screen"
KEEPS = 22.0  # seconds for the unit that keeps what explains a hang; it ends itself after 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    parser.add_argument("name", metavar="NAME", help="a service of this host")
    parser.add_argument(
        "--judged",
        action="store_true",
        help="for the canary: standard input names a process by its id and its start in clock ticks since boot; "
        "begin to restart that one, or say why not",
    )
    parser.add_argument(
        "--incident",
        default="",
        metavar="UNIT",
        help="with --judged: started before, to keep what explains the hang",
    )


def run(options: argparse.Namespace) -> Result:
    """Restart it."""
    row = registry.one(options.name)
    reader = managers.reader(row.manager)
    if options.judged:
        return judged(reader, row, options.incident)
    return followed.result(
        "restart", row, partial(reader.restart, row), partial(reader.outcome, row), anew=True
    )


def judged(reader: managers.Reader, row: registry.Row, incident: str) -> Result:
    """Begin a restart of the very process that was judged; two numbers are read, and no word of a server.

    Raises:
        CheckError: the manager does not tell how the service is, or refuses.
    """
    words, kept = sys.stdin.readline(100).split(), ""
    for look in (True, False) if incident else (False,):  # it may have become another one meanwhile
        unit = reader.ask(row)
        if unit.state != "running" or words != [str(unit.pid), str(unit.started)]:
            return Result(
                "restart",
                State.WARNING,
                say("by now it is {words} (process {pid})", words=unit.words, pid=unit.pid),
            )
        kept = keep(incident) if look else kept
    reader.heal(row)
    return conclude("restart", [], say("restarted{kept}", kept=kept))


def keep(unit: str) -> str:
    """Have what explains the hang kept; return why it was not, which holds no restart back."""
    try:
        done = command.run(["systemctl", "start", unit], KEEPS)
        why = shorten(done.text) or say("exit code {code}", code=done.code) if done.code else ""
    except OSError as error:  # TimeoutError too
        why = str(error)
    return (
        say(", and what explains the hang was not kept: {why} (journalctl -u {unit})", why=why, unit=unit)
        if why
        else ""
    )
