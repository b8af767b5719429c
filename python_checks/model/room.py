"""Whether a model may be made in a place: nobody else can exchange it there, and the disk can hold it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

from python_checks.core.result import CheckError, Fault
from python_checks.core.say import say
from python_checks.core.words import GIB
from python_checks.host import trust
from python_checks.model.fetching import AGAIN

RESERVE = 2**30  # bytes of the disk that stay free


def refuse_others(place: Path) -> None:
    """Refuse a place where others could exchange what root writes; without root it is the user's own matter.

    Raises:
        CheckError: they could.
    """
    found = trust.others(place) if os.geteuid() == 0 else []
    if found:
        paths = " ".join(dict.fromkeys(str(other.path) for other in found))
        words = say(
            "root would write to {place}, and others than root may change {paths}", place=place, paths=paths
        )
        remedy = say(
            "sudo chown root: {paths} && sudo chmod go-w {paths}, or choose another directory", paths=paths
        )
        raise CheckError(Fault(words, remedy))


def refuse_full(directory: Path, beside: Path, size: int) -> None:
    """Refuse more bytes than the disk can hold, before the first one.

    Args:
        directory: What needs them; `beside`: a directory on its disk.
        size: How many are to come.

    Raises:
        CheckError: it cannot.
    """
    disk = os.statvfs(beside)
    needed, free = size + RESERVE, disk.f_bavail * disk.f_frsize
    if needed > free:
        words = say(
            "{directory} needs {needed:.2f} GiB more, 1 of which stays free, and its disk has {free:.2f} GiB",
            directory=directory,
            needed=needed / GIB,
            free=free / GIB,
        )
        raise CheckError(
            Fault(words, say("free some, e.g. a model that nothing serves, or choose another disk"))
        )


@contextmanager
def told() -> Iterator[None]:
    """Say what to do when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT):
            raise
        words = say("the disk is full: {error}", error=error)
        raise CheckError(Fault(words, say("free some, and {again}", again=AGAIN))) from error
