"""The scrape list: what each host has, and from where Prometheus reaches it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from playbooks import REPOSITORY

HOSTS: dict[str, dict[str, Any]] = {
    "ml35": {
        "vllm_host": "127.0.0.1",
        "vllm_port": "{{ 8000 + 1 }}",
        "gateway_status_port": 8405,
        "vllm_extra_instances": [{"vllm_name": "embed", "vllm_port": 8005, "vllm_host": "0.0.0.0"}],
    },
    "ml36": {"ansible_host": "10.0.0.36", "vllm_host": "0.0.0.0", "monitoring_exporter_host": "10.0.0.36"},
    "ml37": {"ansible_host": "fd00::37", "vllm_host": "::", "vllm_port": 8007},
}
GROUPS = {"vllm": ["ml35", "ml36", "ml37"], "gateway": ["ml35"], "monitoring": ["ml35"]}


def listed(folder: Path, monitor: str) -> tuple[dict[str, str], list[str]]:
    """Return where the targets are, by job, instance and service, and what is out of reach."""
    groups = {name: {"hosts": dict.fromkeys(hosts)} for name, hosts in GROUPS.items()}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": HOSTS, "children": groups}}))
    show = {
        "ansible.builtin.debug": {
            "msg": "FOUND {{ lookup('scrape_targets', monitor='" + monitor + "') | to_json }}"
        }
    }
    (folder / "play.yml").write_text(
        json.dumps([{"hosts": "ml36", "gather_facts": False, "connection": "local", "tasks": [show]}])
    )
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "-i",
            folder / "hosts.json",
            folder / "play.yml",
            "-v",
        ],
        cwd=REPOSITORY,
        env=os.environ
        | {
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(folder / "home"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.JSONDecoder().raw_decode(
        done.stdout.partition("FOUND ")[2].replace('\\"', '"').replace("\\\\", "\\")
    )[0]
    places = {
        " ".join(
            (each["labels"]["job"], each["labels"]["instance"], each["labels"].get("service", ""))
        ).strip(): each["targets"][0]
        for each in found["reached"]
    }
    return places, found["missed"]


def test_from_one_of_the_hosts(tmp_path: Path) -> None:
    """Also in a play of another host alone, as --limit makes it."""
    places, missed = listed(tmp_path, "ml35")
    assert places == {
        "vllm ml35 vllm": "127.0.0.1:8001",
        "vllm ml35 embed": "127.0.0.1:8005",
        "gateway ml35 gateway": "127.0.0.1:8405",
        "node ml35": "127.0.0.1:9100",
        "vllm ml36 vllm": "10.0.0.36:8000",
        "node ml36": "10.0.0.36:9100",
        "vllm ml37 vllm": "[fd00::37]:8007",
    }
    assert missed == ["node of ml37, which listens at 127.0.0.1:9100 alone"]


def test_from_elsewhere(tmp_path: Path) -> None:
    places, missed = listed(tmp_path, "")
    assert "vllm ml35 vllm" not in places and places["vllm ml35 embed"] == "ml35:8005"
    assert len(missed) == 4
