"""Read files that somebody else may have made: a regular file and no more of it than a limit, never a FIFO that nobody writes to."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from python_checks.core.say import say

OTHER = (errno.EINVAL, errno.EFBIG, errno.ELOOP)  # of what is no file that is read here
LIMIT = 256 * 2**20  # bytes; the largest file that is read whole, a tokenizer, has 30 MB


def opened(path: Path, follow: bool = True) -> BinaryIO:
    """Open a regular file for reading; `follow`: it may be a link to one.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    links = 0 if follow else os.O_NOFOLLOW
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | links)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, say("is no regular file"), str(path))
    return os.fdopen(handle, "rb")


def content(path: Path, follow: bool = True, limit: int = LIMIT) -> bytes:
    """Return what a file holds.

    Raises:
        OSError: it cannot be read, is no regular file, or holds more than `limit` bytes.
    """
    with opened(path, follow) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, say("too large"), str(path))
    return data
