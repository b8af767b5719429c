"""Callback ``phases``: what a person wants to see of a run. One line a phase, and under it what it has to say; a failure comes last.

A phase is a role step that a play includes; what a play does itself is one phase with its name. Nothing is printed for what was
skipped, and ``-v`` brings Ansible's own lines back.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback.default import CallbackModule as Default

from ansible import context

sys.path.append(str(Path(__file__).resolve().parents[1] / "module_utils"))
from plain_text import plain  # Ansible keeps plugins out of packages
from run_phases import Phase, place
from run_report import Report
from screen_lines import cause, clean, word

DOCUMENTATION = """
name: phases
type: stdout
short_description: One line a phase, and a failure last
description: [With C(-v) it is the default one.]
extends_documentation_fragment: [default_callback, result_format_callback]
"""
PATIENT = 3  # attempts that are nothing to speak of


def unless_verbose(ours: Callable[..., None]) -> Callable[..., None]:
    """Leave an event to the default callback with -v."""

    @functools.wraps(ours)
    def chosen(self: Any, *arguments: Any, **named: Any) -> None:
        handle = getattr(Default, ours.__name__) if self._display.verbosity else ours
        handle(self, *arguments, **named)

    return chosen


def silent(name: str) -> Callable[..., None]:
    """Return a handler that says nothing of the event ``name``, but with -v."""

    def nothing(self: Any, *arguments: Any, **named: Any) -> None:
        """Say nothing."""

    nothing.__name__ = name
    return unless_verbose(nothing)


class CallbackModule(Default):
    """Takes Ansible's events for a report."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "phases"

    v2_runner_on_skipped = silent("v2_runner_on_skipped")
    v2_runner_item_on_skipped = silent("v2_runner_item_on_skipped")
    v2_playbook_on_include = silent("v2_playbook_on_include")
    v2_playbook_on_no_hosts_matched = silent("v2_playbook_on_no_hosts_matched")
    v2_playbook_on_no_hosts_remaining = silent("v2_playbook_on_no_hosts_remaining")

    def __init__(self) -> None:
        """Nothing has run."""
        super().__init__()
        self.report = Report(self._display)
        self.alone = self.awaited = self.shown = False
        self.items: dict[str, list[str]] = {}  # host -> why items of its loop failed

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Count the phases: of one alone that changes nothing, what it shows is all."""
        self.report.guard()
        self.report.dry = context.CLIARGS["check"]
        plays = [[task for block in play.tasks for task in block.block] for play in playbook.get_plays()]
        includes = [[task for task in tasks if isinstance(task, TaskInclude)] for tasks in plays]
        self.alone = sum(len(each) or 1 for each in includes) == 1
        super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """End the phase before."""
        self.report.end()
        self.report.many = len(play.get_variable_manager().get_vars(play=play)["ansible_play_hosts_all"]) > 1
        self._play = play
        if self._display.verbosity:
            super().v2_playbook_on_play_start(play)

    @unless_verbose
    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Begin a phase, unless the task belongs to the one under way."""
        at = place(task)
        self.report.screen = task.action.rpartition(".")[2] == "show"
        if at.handler and self.report.phase:
            return
        self.awaited = at.awaited
        if at.back:
            begun = Phase(at.back._uuid, task.name, listed=False)
        elif isinstance(at.top, TaskInclude):
            begun = Phase(at.top._uuid, at.top.name, listed=not self.alone)
        else:
            begun = Phase(self._play._uuid, self._play.get_name(), listed=False)
        self.report.begin(begun)

    @unless_verbose
    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Take it as a task."""
        self.v2_playbook_on_task_start(task, False)

    @unless_verbose
    def v2_runner_on_ok(self, result: Any) -> None:
        """Note a change, and show warnings."""
        self._warn(result)
        if isinstance(result.task, TaskInclude) or not self.report.phase:
            return
        self.report.phase.seen.add(result.host.name)
        if result.result.get("changed"):
            self.report.phase.changed.add(result.host.name)
        if self.report.screen:
            self.shown = self.report.gap = True
        if result.task.action.endswith("debug"):
            words = (
                plain(result.result["msg"]) if "msg" in result.result else self._dump_results(result.result)
            )
            self.report.note(result.host.name, words.strip())

    @unless_verbose
    def v2_runner_item_on_ok(self, result: Any) -> None:
        """Show warnings."""
        self._warn(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """Keep the reason, which the result of the whole loop does not tell."""
        why = f"{plain(self._get_item_label(result.result))}: {cause(result.result)}"
        self.items.setdefault(result.host.name, []).append(why)
        if self._display.verbosity:
            super().v2_runner_item_on_failed(result)
        else:
            self._warn(result)

    @unless_verbose
    def v2_runner_retry(self, result: Any) -> None:
        """Say once that something takes its time."""
        if result.result["attempts"] == PATIENT:
            words = word("again").format(result.result["retries"])
            self.report.note(result.host.name, f"{result.task_name}: {words}")

    @unless_verbose
    def v2_on_file_diff(self, result: Any) -> None:
        """Show what changes in files."""
        for each in [result.result, *(result.result.get("results") or ())]:
            if each.get("diff") and each.get("changed") and (diff := self._get_diff(clean(each["diff"]))):
                self.report.note(result.host.name, result.task_name)
                self._display.display(diff)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Keep the reason for the end; one that a rescue section awaits is told with its phase, too."""
        at, host = place(result.task), result.host.name
        why = "\n".join(self.items.pop(host, [])) or cause(result.result)
        awaited = self.awaited if at.handler else at.awaited
        kept = None if ignore_errors else self.report.keep(host, result.task_name, why, final=not awaited)
        phase = self.report.phase
        if self._display.verbosity:
            super().v2_runner_on_failed(result, ignore_errors)
            return
        self._warn(result)
        if ignore_errors:
            self.report.note(host, f"{result.task_name}: {why} ({word('ignored')})")
        elif phase and kept:
            if awaited and kept not in phase.reasons:
                phase.reasons.append(kept)
            # The way back ends by telling what led to it; else what failed is in that way itself.
            if not (at.back and result.task.action.endswith("fail")):
                phase.failed.add(host)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Keep it for the end."""
        host, ignored = result.host.name, result.task.ignore_unreachable
        why = f"{cause(result.result)}\n{word('lost').format(host)}"
        if not ignored:
            self.report.keep(host, result.task_name, why, final=True)
        if self._display.verbosity:
            super().v2_runner_on_unreachable(result)
        elif ignored:
            self.report.note(host, f"{result.task_name}: {why} ({word('ignored')})")
        elif self.report.phase:
            self.report.phase.failed.add(host)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the figures of each host, and behind them what failed."""
        totals = {host: stats.summarize(host) for host in sorted(stats.processed)}
        bad = {host for host, each in totals.items() if each["failures"] or each["unreachable"]}
        if self._display.verbosity:
            super().v2_playbook_on_stats(stats)
        else:
            self.report.end()
            if bad or any(each["changed"] for each in totals.values()) or not (self.alone and self.shown):
                self.report.recap(totals)
        self.report.tell_failures(bad)

    def _warn(self, result: Any) -> None:
        """Show warnings with their host, and deprecations as Ansible does."""
        for warning in result.result.pop("warnings", None) or ():
            self.report.warn(result.host.name, warning)
        self._handle_warnings(result.result)
