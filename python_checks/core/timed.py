"""Run one check against the clock."""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

from python_checks.core.result import CheckError, Result, State, conclude


def timed(name: str, check: Callable[[argparse.Namespace], Result], options: argparse.Namespace) -> Result:
    """Run one check; whatever it did not foresee is unknown, never ok."""
    start = time.monotonic()
    try:
        result = check(options)
    except CheckError as error:
        result = conclude(name, [error.fault], "")
    except Exception as error:
        result = Result(
            name, State.UNKNOWN, f"unforeseen {type(error).__name__}: {error}", "report this with the options"
        )
    return replace(result, check=name, seconds=time.monotonic() - start)
