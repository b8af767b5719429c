"""Callback ``how_called``: refuse, before a play begins, a run that could not do what it was called for; and say when nothing was done.

It lies beside the playbooks (``ansible/callback_plugins``), where Ansible finds it also without our ``ansible.cfg``.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

from ansible import constants, context
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: how_called
type: aggregate
short_description: Refuse a run that could not do what it was called for
description: [It has no options.]
"""
REPOSITORY = Path(__file__).resolve().parents[3]
CONFIGURATION = REPOSITORY / "ansible.cfg"
BAD_OPTIONS = 5  # exit code of ansible-playbook for such
MOLECULE = {"molecule-notest", "molecule-idempotence-notest", "notest"}  # tags that molecule skips
INSTEAD = (
    "Run it whole: what is as it is wanted is left alone. --limit HOST keeps it to one host, and ansible/ has a playbook for each"
    " other task."
)


def configuration_fault() -> str:
    """Return why Ansible did not read our configuration, and what to do; empty when what counts of it holds."""
    ours = (
        str(REPOSITORY / "roles") in map(os.path.realpath, constants.DEFAULT_ROLES_PATH)
        and constants.DEFAULT_FORCE_HANDLERS
    )
    if ours:
        return ""
    given, here = os.environ.get("ANSIBLE_CONFIG"), Path.cwd()
    if given:
        why = f"ANSIBLE_CONFIG names another one ({given})"
    elif here.resolve() == REPOSITORY and here.stat().st_mode & 0o002:
        why = f"every user may write to {REPOSITORY}, and Ansible reads none from such a directory: chmod o-w {REPOSITORY}"
    else:
        why = f"it was called in {here}: cd {REPOSITORY}"
    return f"Ansible did not read {CONFIGURATION}, without which a deploy does not work: {why}, or set ANSIBLE_CONFIG={CONFIGURATION}"


def option_faults(given: Any) -> Iterator[str]:
    """Yield what options of ansible-playbook cannot do here."""
    if given.get("start_at_task"):
        yield f"--start-at-task cannot be used: each task builds on what the tasks before it found out. {INSTEAD}"
    tags = set(given.get("tags") or ()) - {"all", "untagged"}
    skipped = set(given.get("skip_tags") or ()) - MOLECULE
    if tags:
        yield f"--tags {','.join(sorted(tags))} would run nothing: no task here has tags. {INSTEAD}"
    if skipped:
        yield f"--skip-tags {','.join(sorted(skipped))} would skip nothing: no task here has tags. {INSTEAD}"


def misspelt(given: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with names given by -e, of which ``wanted`` are its own; those of roles are judged with the inventory."""
    for name in sorted(set(given) - set(wanted)):
        for near in difflib.get_close_matches(name, wanted, n=1, cutoff=0.8):
            yield f"-e {name}: this playbook has no such variable; did you mean {near}?"


class CallbackModule(CallbackBase):
    """Ends a run by its exit code: what a callback raises else is only a warning."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "how_called"

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Refuse with all faults; what is printed into a pipe is seen when it is printed, as on a terminal."""
        sys.stdout.reconfigure(line_buffering=True)
        own = [name for play in playbook.get_plays() for name in play.vars]
        faults = [*option_faults(context.CLIARGS), *misspelt(load_extra_vars(playbook.get_loader()), own)]
        self.refuse([*filter(None, [configuration_fault()]), *faults])

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Fail where no play had a host."""
        if not stats.processed:
            within = f" within --limit {context.CLIARGS['subset']}" if context.CLIARGS.get("subset") else ""
            self.refuse(
                [
                    f"Nothing was done: no host of the inventory{within} is in a group that this playbook is for (vllm, backend)."
                ]
            )

    def refuse(self, faults: list[str]) -> None:
        """Show the faults and end the run, if there are any."""
        for fault in faults:
            Display().error(fault, wrap_text=False)
        if faults:
            raise SystemExit(BAD_OPTIONS)
