"""Watch the start of a server: its process, its log, its deadline; say on standard error where it is."""

import time
from pathlib import Path

from python_checks.api.http import Pending
from python_checks.core import notify
from python_checks.core.result import CheckError, Fault
from python_checks.core.say import say
from python_checks.core.throttle import Throttle
from python_checks.host import processes
from python_checks.log import causes, phases
from python_checks.log.causes import Cause
from python_checks.log.tail import LogTail
from python_checks.service import engine_facts, remedies
from python_checks.service.facts import Service

PAUSE = 0.5  # seconds between two looks


class Watch:
    """One start that is watched.

    Args:
        pid: Main process, None when unknown.
        path: Its log, None when there is none.
        deadline: Seconds from now in which it must be ready.
        phase: What it does until its log says more.
    """

    def __init__(self, pid: int | None, path: Path | None, deadline: float, phase: str) -> None:
        """Begin: the deadline runs from now, and what the log holds of the process already is read."""
        self.pid, self.path, self.deadline = pid, path, deadline
        self.start = time.monotonic()
        self.identity = processes.stat(pid) if pid else None
        self.service = Service(command=processes.command(pid) if pid else ())
        self.log = LogTail(path, pid, processes.started_at(pid) if pid else None) if path else None
        self.phase, self.warming = phase, False
        self.answer: str = say("no answer yet")
        self._throttle = Throttle()
        if self.log and self.log.found:
            self._read(list(self.log.lines))

    @property
    def elapsed(self) -> float:
        """Return the seconds since the watch began."""
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        """Return the seconds that remain, at least a moment."""
        return max(0.01, self.deadline - self.elapsed)

    def during(self, pending: Pending) -> None:
        """Look around until the request is done.

        Raises:
            CheckError: as `look`.
        """
        self.look()
        while not pending.done(PAUSE):
            self.look()

    def look(self) -> None:
        """Read the log and say where the start is.

        Raises:
            CheckError: there is nothing to wait for: the process ended, or the deadline passed.
        """
        gone = self._gone()  # asked before the log is read, so that the last lines of a dead one are in
        self._read(self.log.poll() if self.log else [])
        if self._throttle.tell(self.phase, f" ({self.elapsed:.0f} s)"):
            notify.status(self.phase)
        if gone:
            raise CheckError(self._obituary())
        if self.elapsed >= self.deadline:
            words = say(
                "not ready after {deadline:g} s in phase: {phase}; {answer}",
                deadline=self.deadline,
                phase=self.phase,
                answer=self.answer,
            )
            raise CheckError(
                Fault(
                    words,
                    say("follow the log{place}; a slow disk needs a longer --deadline", place=self._place),
                )
            )

    def cause(self) -> Cause:
        """Return what the log gives as the cause of a failure; empty when it says nothing."""
        return causes.find(self.log.last_words()) if self.log else Cause()

    def remedy(self, cause: Cause) -> str:
        """Return what to do about it, as the doctor would say."""
        budget = engine_facts.budget(self.service, cause.text)
        return remedies.remedy(cause.text, self.service, budget)

    @property
    def _place(self) -> str:
        return say(" ({path})", path=self.path) if self.path else ""

    def _read(self, lines: list[str]) -> None:
        """Take the phase from new lines of the log; the warm-up stays the last one."""
        found = [phase for phase in map(phases.phase, lines) if phase]
        if found and not self.warming:
            self.phase = found[-1]

    def _gone(self) -> bool:
        """Tell whether the process ended; another one with its id is not it."""
        if self.pid is None:
            return False
        now = processes.stat(self.pid)
        return now is None or self.identity is None or now.started != self.identity.started

    def _obituary(self) -> Fault:
        why = self.cause()
        when = (
            say("after {elapsed:.0f} s in phase: {phase}", elapsed=self.elapsed, phase=self.phase)
            if self.identity
            else say("before the wait began")
        )
        words = say(
            "process {pid} ended {when}; {words}",
            pid=self.pid,
            when=when,
            words=why.words or say("its log does not say why"),
        )
        remedy = self.remedy(why)
        return Fault(
            words, say("{remedy}; log: {path}", remedy=remedy, path=self.path) if self.path else remedy
        )
