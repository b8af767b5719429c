"""Stop a service by plan, or start it again: what its two timers do. Maintenance, a deploy and an operator's own stop come first."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from python_checks.core import whole_file
from python_checks.core.result import CheckError, Fault, Result, State, conclude, shorten
from python_checks.core.say import say
from python_checks.service import marks, planned, registry, systemd
from python_checks.service.registry import Row
from python_checks.service.unit import call

NEEDS: tuple[str, ...] = ()
RUNS = ("running", "starting", "restarting")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    parser.add_argument("what", choices=("stop", "start"), help="what it is time for")
    parser.add_argument("name", metavar="NAME", help="a service of this host, under systemd")


def run(options: argparse.Namespace) -> Result:
    """Do it, unless somebody else has the service in hand."""
    row, home = registry.one(options.name), registry.home() or Path()
    mark = planned.mark(row)
    if row.manager != "systemd" or mark is None:
        words = say("{name} runs under no systemd, and only that has calendars", name=row.name)
        raise CheckError(Fault(words, say("take vllm_stop_at and vllm_start_at out"), State.UNKNOWN))
    deploy = marks.deploy(home / "deploy.lock")
    busy = marks.maintenance(home / "watch/maintenance.json") or ("" if deploy.gone else deploy.who)
    if busy and options.what == "start" and mark.is_file():
        # It comes again in a day or a weekend: meanwhile nobody may take the service for stopped by plan.
        _end(row, mark)
        words = say(
            "not started: {busy}; start it yourself afterwards: systemctl start {unit}",
            busy=busy,
            unit=row.unit,
        )
        return Result("plan", State.WARNING, words)
    if busy:
        return Result("plan", State.WARNING, say("left as it is: {busy}", busy=busy))
    return stop(row, mark) if options.what == "stop" else start(row, mark)


def stop(row: Row, mark: Path) -> Result:
    """Begin to stop a service that runs, and keep it down over a boot; the mark comes first, so that nobody takes it for a failure."""
    unit = systemd.ask(row)
    if unit.state not in RUNS:
        return conclude("plan", [], say("left as it is, for it does not run: {words}", words=unit.words))
    try:
        whole_file.write(mark, f"{time.time():.0f}\n")
    except OSError as error:
        words = say("not stopped, for its mark cannot be written: {error}", error=error)
        raise CheckError(Fault(words, say("make room on its disk"))) from error
    _do(("disable", "--quiet", row.unit), ("--no-block", "stop", row.unit))
    return conclude("plan", [], say("{name} is stopped by plan", name=row.name))


def start(row: Row, mark: Path) -> Result:
    """Begin to start what a plan stopped; what an operator stopped stays so."""
    if not mark.is_file():
        return conclude("plan", [], say("left as it is, for no plan stopped it"))
    _end(row, mark, ("--no-block", "start", row.unit))
    return conclude("plan", [], say("{name} is started again", name=row.name))


def _end(row: Row, mark: Path, *steps: Sequence[str]) -> None:
    _do(("enable", "--quiet", row.unit), *steps)
    mark.unlink(missing_ok=True)


def _do(*steps: Sequence[str]) -> None:
    for words in steps:
        output = call(["systemctl", *words])
        if output.code:
            why = say("systemd refuses: {text}", text=shorten(output.text))
            raise CheckError(Fault(why, say("run it as root")))
