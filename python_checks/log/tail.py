"""Follow a growing log file, from the first line of one process on."""

import contextlib
import os
import re
import time
from collections import deque
from pathlib import Path

from python_checks.core import regular_file
from python_checks.log.causes import GUARD
from python_checks.log.lines import clean

BACKLOG = 4 * 2**20  # bytes of an old log that are looked through for lines of a process that runs already
KEPT = 2000  # lines; the usage text of vLLM alone has 300
_STAMP = re.compile(r"\b(\d\d-\d\d \d\d:\d\d:\d\d) \[")


class LogTail:
    """Lines of `path` that belong to the vLLM whose main process is `pid`.

    vLLM opens its lines with `(APIServer pid=N)`; the first one that names the pid starts the process's part,
    and its children's lines follow, up to the guard's line of the next start. A line with the same pid from before
    `started` is another process's.

    Args:
        path: The log; it may not exist yet, be rotated or be truncated while it is read.
        pid: Main process, or None to take every line that is written from now on.
        started: Start of the process in seconds since the epoch, or None when unknown.
    """

    def __init__(self, path: Path, pid: int | None, started: float | None) -> None:
        """Look through the end of what the log holds already; see the class for the arguments."""
        self.path, self.started = path, started
        self.own = re.compile(rf"(?:\(.*? pid=\d+\) ?)*?\([^()]*? pid={pid}\)") if pid else None
        self.found = False  # the process's part has begun
        self.over = False  # and ended
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.inode, size, self.rest = 0, 0, b""
        with contextlib.suppress(OSError):
            status = path.stat()
            self.inode, size = status.st_ino, status.st_size
        self.offset = max(0, size - BACKLOG) if self.own else size
        self.old = self._read()
        self._take(self.old, backlog=True)

    def poll(self) -> list[str]:
        """Return the lines written since the last call, as far as they belong to the process."""
        return self._take(self._read(), backlog=False)

    def last_words(self) -> list[str]:
        """Return the lines to look through for a cause: the process's, else what is new, else the old end."""
        return list(self.lines) or self.old[-KEPT:]

    def _take(self, lines: list[str], backlog: bool) -> list[str]:
        taken = []
        for line in lines:
            self.over = self.over or (self.found and bool(GUARD.match(line)))
            fresh = self.over or not self.found  # its id may have been another's before
            if self.own and fresh and self.own.match(line) and not (backlog and self._stale(line)):
                self.found, self.over = True, False
                self.lines.clear()
            if self.over:
                continue
            if self.found or not self.own:
                taken.append(line)
            if self.found or not backlog:
                self.lines.append(line)
        return taken

    def _stale(self, line: str) -> bool:
        """Tell whether a line of the backlog is older than the process; stamps are local, without a year."""
        if self.started is None:  # it ended before we looked: what names its pid is all there is
            return False
        stamp = _STAMP.search(line)
        if not stamp:
            return True
        year = time.localtime(self.started).tm_year
        written = time.mktime(time.strptime(f"{year}-{stamp[1]}", "%Y-%m-%d %H:%M:%S"))
        if written < self.started - 182 * 86400:  # started in December, written in January
            written += 365 * 86400
        return written < self.started - 2

    def _read(self) -> list[str]:
        """Return the whole lines that are new; a progress bar's carriage return ends a line, too."""
        try:
            with regular_file.opened(self.path) as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self.inode or status.st_size < self.offset:
                    self.inode, self.offset, self.rest = status.st_ino, 0, b""
                file.seek(self.offset)
                data = file.read()
        except OSError:
            return []
        self.offset += len(data)
        *whole, self.rest = re.split(rb"[\r\n]+", self.rest + data)
        return [clean(line.decode("utf-8", "replace")) for line in whole if line]
