"""Have requests for a service wait at the gateway, before the service stops."""

import argparse

from python_checks.core.result import Result, conclude
from python_checks.gateway import drained
from python_checks.gateway import options as own

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    own.add_rotation(parser)


def run(options: argparse.Namespace) -> Result:
    """Tell the gateway, where one runs."""
    return conclude("drain", [], drained.leave(options.socket, options.drained, options.service))
