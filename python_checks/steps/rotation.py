"""Have requests for a service wait at the gateway of this host, before the service stops, or go on to it, once it answers."""

import argparse
from pathlib import Path

from python_checks.core.result import CheckError, Result, conclude
from python_checks.core.say import say
from python_checks.gateway import drained
from python_checks.service import registry

NEEDS: tuple[str, ...] = ()

TURNS = {"leave": drained.leave, "enter": drained.enter}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    parser.add_argument("service", metavar="NAME", help="the service that stops or answers")
    parser.add_argument("turn", choices=TURNS, help="leave: requests wait; enter: they go on")


def run(options: argparse.Namespace) -> Result:
    """Tell the gateway, where one is deployed and runs.

    Raises:
        CheckError, OSError: it does not do it.
    """
    try:
        told = registry.one("gateway").options
    except CheckError:
        return conclude("rotation", [], say("no gateway is deployed here"))
    socket, file = Path(told["socket"]), Path(told["drained"])
    return conclude("rotation", [], TURNS[options.turn](socket, file, options.service))
