"""What a person is told of a run: one line a phase, under its name what it has to say, and in the end what failed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping

from ansible.utils.display import Display
from plain_text import plain
from run_phases import Failure, Phase
from screen_lines import ERASE, STATE, Stream, fill, phase_line, word

from ansible import constants

BRIEF = 4  # lines of a reason that is told again in the end
NAMED = 3  # hosts
FIGURES = {"ok": "ok", "changed": "changed", "failures": "failed"}
RARE = {"unreachable": "unreachable", "rescued": "rescued", "ignored": "ignored"}


class Report:
    """Prints through Ansible's display; what others print while a phase is under way stands below its name."""

    def __init__(self, display: Display) -> None:
        """Nothing is under way."""
        self.display = display
        self.phase: Phase | None = None
        self.failures: list[Failure] = []
        self.said: set[str] = set()
        self.many = self.dry = False  # several hosts; nothing is changed
        self.screen = self.gap = False  # a screen is being shown; was the last to be printed
        self.out, self.passing = sys.stdout, False  # whether a line of a terminal is to be overwritten

    @property
    def width(self) -> int:
        """Columns of a line; 79 where no terminal says more."""
        return min(self.display.columns, 100)

    def guard(self) -> None:
        """Have all that is printed from now on pass by here."""
        for name in ("stdout", "stderr"):
            setattr(sys, name, Stream(getattr(sys, name), self._before))

    def _before(self) -> None:
        """Have a text of anybody below the name of the phase under way."""
        if self.passing:
            self.passing = False
            self.out.write(ERASE)
        if self.phase and not self.phase.headed and not self.screen:
            self.phase.headed = True
            self.out.write(f"{word('runs'):<{STATE}} {self.phase.name}\n")

    def begin(self, phase: Phase) -> None:
        """End the phase under way, unless it is this one; on a terminal show which one it is now."""
        if self.phase and self.phase.key == phase.key:
            return
        self.end()
        self.phase = phase
        if self.out.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            self.out.write(f"{word('runs'):<{STATE}} {phase.name}")
            self.out.flush()
            self.passing = True

    def end(self) -> None:
        """Print the line of the phase under way, if there is something to tell, and why something in it failed."""
        phase, self.phase = self.phase, None
        if self.passing:
            self._before()
        if not phase or not phase.tells:
            return
        state, concerned, colour = "ok", phase.seen, constants.COLOR_OK
        if phase.failed:
            state, concerned, colour = "failed", phase.failed, constants.COLOR_ERROR
        elif phase.changed:
            state, concerned, colour = "changed", phase.changed, constants.COLOR_CHANGED
            state = "would" if self.dry else state
        hosts = sorted(concerned) if self.many and concerned != phase.seen | phase.failed else []
        more = f", +{len(hosts) - NAMED}" if len(hosts) > NAMED else ""
        name = phase.name + f": {', '.join(hosts[:NAMED])}{more}" * bool(hosts)
        line = phase_line(word(state), name, time.monotonic() - phase.started, self.width)
        self.display.display("\n" * self.gap + line, color=colour)
        self.gap = False
        for reason in phase.reasons:
            told = f"{', '.join(reason.hosts)}: " * self.many + f"{reason.task}: {reason.why}"
            lines = [each for each in fill(told, STATE + 1, self.width).splitlines() if each not in self.said]
            self.said.update(lines)
            self.display.display("\n".join(lines[:BRIEF]))

    def note(self, host: str, words: str) -> None:
        """Print what there is to say of a host."""
        self.display.display(fill(self._of(host) + words, STATE + 1, self.width))

    def warn(self, host: str, warning: object) -> None:
        """Print a warning, once."""
        told = f"[WARNING]: {self._of(host)}{plain(warning)}"
        if told not in self.said:
            self.said.add(told)
            self.display.display(fill(told, 0, self.width), color=constants.COLOR_WARN, stderr=True)

    def _of(self, host: str) -> str:
        return f"{host}: " if self.many else ""

    def keep(self, host: str, task: str, why: str, *, final: bool) -> Failure:
        """Keep a failure for the end; hosts that failed for the same reason share one."""
        phase = self.phase.name if self.phase else ""
        for each in self.failures:
            if (each.phase, each.task, each.why, each.final) == (phase, task, why, final):
                each.hosts.append(host)
                return each
        self.failures.append(Failure(phase, task, why, final, [host]))
        return self.failures[-1]

    def recap(self, totals: Mapping[str, Mapping[str, int]]) -> None:
        """Print a line a host in Ansible's own words; what is not usual only where it was."""
        width = max(map(len, totals), default=0)
        for host, each in totals.items():
            names = FIGURES | {key: name for key, name in RARE.items() if each[key]}
            figures = " ".join(f"{name}={each[key]}" for key, name in names.items())
            colour = constants.COLOR_CHANGED if each["changed"] else constants.COLOR_OK
            if each["failures"] or each["unreachable"]:
                colour = constants.COLOR_ERROR
            self.display.display(f"{host:<{width}} : {figures}", color=colour)
        if self.dry:
            self.display.display(word("dry"))

    def tell_failures(self, bad: Iterable[str]) -> None:
        """Print why the hosts failed: the task, the cause and the remedy."""
        hosts = set(bad)
        told = [each for each in self.failures if each.final and hosts & set(each.hosts)]
        for host in sorted(hosts.difference(*(each.hosts for each in told))):
            told += [each for each in self.failures if host in each.hosts][-1:]
        for each in told:
            where = ": ".join(filter(None, (", ".join(each.hosts), each.phase, each.task)))
            self.display.display("")
            head = fill(f"{word('failed')}  {where}", 0, self.width)
            self.display.display(head, color=constants.COLOR_ERROR)
            self.display.display(fill(each.why, 2, self.width))
