"""What a log or a server says reaches a terminal as text: no character of it is a command."""

from __future__ import annotations

import json
from pathlib import Path

from playbooks import run_playbook
from plugins import load

plain = load("common/plain_text").plain
HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\u202ed\re"


def test_lines_and_tabs_stay() -> None:
    assert plain("one\r\ntwo\tthree\n\n한국어 é\n") == "one\ntwo\tthree\n\n한국어 é\n"
    assert plain(HOSTILE) == "a?]0;owned?b?31mc?d?e"
    assert plain("50 %\r100 %\r") == "50 %?100 %"


def test_no_action_prints_a_control_character(tmp_path: Path) -> None:
    (tmp_path / "words").write_text(HOSTILE)
    say = f"cat {tmp_path}/words; cat {tmp_path}/words >&2; sleep 3"
    rescue = [{"show": {"text": "{{ ansible_failed_result.msg }}"}}]
    tasks = [
        {"show": {"text": HOSTILE}},
        {"block": [{"check": {"argv": ["sh", "-c", f"{say}; exit 2"]}}], "rescue": rescue},
        {"check": {"argv": ["sh", "-c", f"{say}; exit 1"]}},
        {
            "block": [{"progress": {"label": "x", "title": "y", "argv": ["sh", "-c", f"{say}; exit 1"]}}],
            "rescue": rescue,
        },
        {"ansible.builtin.fail": {"msg": "{{ given | plain }}"}},
    ]
    play = tmp_path / "play.yml"
    play.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "vars": {"given": HOSTILE}, "tasks": tasks}])
    )
    run = run_playbook(str(play), tmp_path)
    assert run.stdout.count("owned") >= 8, run.stdout
    assert not [char for char in run.stdout if char in "\x1b\x07\x9b\u202e\r"], repr(run.stdout)
