"""Make a key for the gateway: it is printed once and kept nowhere; its row goes into the inventory."""

import argparse
import sys

from python_checks.core.result import CheckError, Fault, Result, State, conclude
from python_checks.core.say import say
from python_checks.gateway import keys

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("name", help="name of the team: letters, digits and . _ -")
    parser.add_argument("--expires", metavar="DAY", help="last day on which it is valid, such as 2026-12-31")


def run(options: argparse.Namespace) -> Result:
    """Print key and row on standard error, so that no verdict that is kept holds them."""
    key = keys.make()
    row = {"name": options.name, "sha256": keys.digest(key)} | (
        {"expires": options.expires} if options.expires else {}
    )
    try:
        keys.lines([row], keys.Defaults((), 0, 0))
    except CheckError as error:
        raise CheckError(Fault(error.fault.reason, error.fault.remedy, State.UNKNOWN)) from error
    words = ", ".join(f'{name}: "{value}"' for name, value in row.items())
    print(f"key, shown this once:  {key}\nrow for gateway_keys:  - {{{words}}}", file=sys.stderr, flush=True)
    return conclude(
        "key", [], say("made for {name}; it is valid once its row is deployed", name=options.name)
    )
