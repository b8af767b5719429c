"""What a log or a server says reaches a terminal as text: no character of it is a command."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from loading import load
from playbooks import REPOSITORY, run_playbook

plain = load("module_utils/plain_text").plain
HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\u202ed\re"


def test_lines_and_tabs_stay() -> None:
    assert plain("one\r\ntwo\tthree\n\n한국어 é\n") == "one\ntwo\tthree\n\n한국어 é\n"
    assert plain(HOSTILE) == "a?]0;owned?b?31mc?d?e"
    assert plain("50 %\r100 %\r") == "50 %?100 %"


def test_no_action_prints_a_control_character(tmp_path: Path) -> None:
    (tmp_path / "words").write_text(HOSTILE)
    (tmp_path / "app.py").touch()
    for path in (tmp_path / ".venv/bin/python", tmp_path / "bin/git"):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\nprintf 'a\\033]0;owned' >&2; exit 1\n")
        path.chmod(0o755)
    (tmp_path / "a\x1b]0;owned").touch()
    say = f"cat {tmp_path}/words; cat {tmp_path}/words >&2; sleep 3"
    tasks = [
        {"show": {"text": HOSTILE}},
        {"check": {"argv": ["sh", "-c", f"{say}; exit 2"]}},
        {"check": {"argv": ["sh", "-c", f"echo 'x WARNING: y'; {say}; exit 1"]}},
        {"progress": {"label": "x", "title": "y", "argv": ["sh", "-c", f"{say}; exit 1"]}},
        {"inspect_checkout": {"directory": str(tmp_path), "app": "app:app", "user": "root"}},
        {"claim_directory": {"path": str(tmp_path), "state": "ours"}},
        {"export_git": {"url": "/srv/x", "version": "main"}},
        {"ansible.builtin.fail": {"msg": "{{ given | plain }}"}},
    ]
    settings = {"gather_facts": False, "ignore_errors": True, "vars": {"given": HOSTILE}}
    play = tmp_path / "play.yml"
    play.write_text(json.dumps([{"hosts": "all", "tasks": tasks} | settings]))
    run = run_playbook(str(play), tmp_path, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert run.stdout.count("owned") >= 12 and "ignored=6" in run.stdout, run.stdout
    assert not [char for char in run.stdout if char in "\x1b\x07\x9b\u202e\r"], repr(run.stdout)


def test_what_another_program_said_of_a_failure_is_told_as_text() -> None:
    tasks = [path.read_text() for path in (REPOSITORY / "roles").glob("*/tasks/*.yml")]
    told = [use for text in tasks for use in re.findall(r"ansible_failed_result\.msg[^}~]*", text)]
    assert told and not [use for use in told if "| plain" not in use]
