"""One deploy at a time: the second is refused with holder and age, a dead holder's lock is taken over."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from playbooks import Playbook
from plugins import load

module = load("modules/deploy_lock")
action = load("action/deploy_lock")


def test_of_many_at_once_one_has_it(tmp_path: Path) -> None:
    gate, opened = os.pipe()
    children = []
    for number in range(8):
        child = os.fork()
        if not child:
            os.close(opened)
            os.read(gate, 1)  # until all of them are there
            os._exit(0 if module.take(tmp_path / "lock", {"pid": number}, None) else 1)
        children.append(child)
    os.close(opened)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(gate)
    assert codes.count(0) == 1
    assert module.read(tmp_path / "lock") == {"pid": codes.index(0)}


def test_only_the_named_holder_is_replaced(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert module.take(lock, {"pid": 1}, None)
    assert not module.take(lock, {"pid": 2}, {"pid": 3})
    assert module.take(lock, {"pid": 2}, {"pid": 1})
    assert module.read(lock) == {"pid": 2}


def test_a_holder_is_gone_when_its_process_is(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    holder = {"pid": child.pid, "started": action.started(child.pid), "boot": action.boot()}
    assert not action.is_gone(holder)
    assert action.is_gone(holder | {"started": "1"})
    assert not action.is_gone(holder | {"boot": "another machine"})
    child.kill()
    child.wait()
    assert action.is_gone(holder)


def test_a_second_deploy_is_refused_and_a_dead_ones_lock_taken_over(
    playbook: Playbook, tmp_path: Path
) -> None:
    lock = tmp_path / "demo/deploy.lock"
    lock.parent.mkdir(parents=True)
    living = {"user": "kim", "host": "desk", "pid": os.getpid(), "boot": action.boot()}
    living["started"] = action.started(os.getpid())
    lock.write_text(json.dumps(living))
    os.utime(lock, (time.time() - 300, time.time() - 300))
    run = playbook("deploy.yml", "-e", "vllm_port=1")
    said = " ".join(run.stdout.split())
    assert run.returncode != 0
    assert f"Another deploy works on demo: kim@desk (process {os.getpid()}), since 5 min" in said
    assert json.loads(lock.read_text()) == living
    lock.write_text(json.dumps(living | {"started": "1"}))
    run = playbook("deploy.yml", "-e", f"host_directory={tmp_path}/demo", "-e", "vllm_disk_gib=x")
    assert run.returncode != 0 and "vllm_disk_gib" in run.stdout
    assert json.loads(lock.read_text()) == living | {"started": "1"}, "wrong variables are refused before"
