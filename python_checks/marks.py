"""Files by which a person or a deploy says: hands off."""

import json
import time
from pathlib import Path

from python_checks import regular
from python_checks.result import shorten
from python_checks.words import span, stamp

LARGEST = 2**16  # bytes of such a file


def maintenance(path: Path) -> str:
    """Return who put a service into maintenance, when and why; empty when nobody did.

    Raises:
        OSError: whether the file is there cannot be told.
    """
    if not _there(path):
        return ""
    now = time.time()
    try:
        given = json.loads(regular.content(path, follow=False, limit=LARGEST))
        since = float(given["since"])
        when = f"since {stamp(since, now)} ({span(now - since)})"
        return f"in maintenance {when}, by {shorten(str(given['by']))}: {shorten(str(given['reason']))}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return f"in maintenance; {path} does not tell who, when and why"


def deploy(path: Path) -> tuple[str, float]:
    """Return who holds the deploy lock of the host, empty when nobody does, and its age in seconds.

    Raises:
        OSError: whether the file is there cannot be told.
    """
    if not _there(path):
        return "", 0.0
    age = time.time() - path.stat().st_mtime
    try:
        holder = json.loads(regular.content(path, follow=False, limit=LARGEST))
        who = shorten(f"{holder['user']}@{holder['host']}")
    except (OSError, ValueError, KeyError, TypeError):
        who = "somebody"
    return f"{who} deploys, for {span(age)} ({path})", age


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
