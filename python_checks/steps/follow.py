"""Follow the start of a service that is under way until it answers; its phases are on standard error."""

import argparse
from functools import partial

from python_checks.core.result import Result
from python_checks.service import followed, managers, registry

NEEDS: tuple[str, ...] = ()
FORMAT = "screen"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    parser.add_argument("name", metavar="NAME", help="a service of this host")


def run(options: argparse.Namespace) -> Result:
    """Follow it."""
    row = registry.one(options.name)
    reader = managers.reader(row.manager)
    return followed.result(
        "follow", row, partial(reader.follow, row), partial(reader.outcome, row), anew=False
    )
