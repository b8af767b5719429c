"""Run one check against the clock."""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

from python_checks.core.result import CheckError, Result, State, conclude
from python_checks.core.say import say


def timed(name: str, check: Callable[[argparse.Namespace], Result], options: argparse.Namespace) -> Result:
    """Run one check; whatever it did not foresee is unknown, never ok."""
    start = time.monotonic()
    try:
        result = check(options)
    except CheckError as error:
        result = conclude(name, [error.fault], "")
    except Exception as error:
        result = Result(
            name,
            State.UNKNOWN,
            say("unforeseen {name}: {error}", name=type(error).__name__, error=error),
            say("report this with the options"),
        )
    return replace(result, check=name, seconds=time.monotonic() - start)
