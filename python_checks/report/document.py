"""A document of results, as `--format json` prints it, read back."""

import json
from pathlib import Path

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, Result, State
from python_checks.core.say import say

LARGEST = 4 * 2**20  # bytes


def read(path: Path) -> list[Result]:
    """Return the results of a document.

    Raises:
        CheckError: it cannot be read, or is something else.
    """
    remedy = say("make it again: checks measure >FILE")
    try:
        given = json.loads(regular_file.content(path, limit=LARGEST))
        return [Result.of_dict(each) for each in given["results"]]
    except OSError as error:
        words = say("{path} cannot be read: {error}", path=path, error=error.strerror or error)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        words = say("{path} is no document of results ({name})", path=path, name=type(error).__name__)
    raise CheckError(Fault(words, remedy, State.UNKNOWN))
