"""A start beside what is in its way: real processes with vLLM's titles, a listener, broken models."""

import os
import re
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.python_checks.island import LISTEN, Island

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root can do this")


def test_nothing_in_the_way_is_one_line(island: Island, port: tuple[str, str], model: Path) -> None:
    done = island.guard(*port, "--model-directory", model)
    words = f"guard OK: nothing is in the way of a start; {model}: 2 weight files, 0.00 GiB, complete | time="
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1), done.stdout
    assert done.stdout.startswith(words)


@pytest.mark.parametrize("before", [(), ("unshare", "--pid", "--fork")], ids=["here", "container"])
def test_a_foreign_engine_is_named(island: Island, port: tuple[str, str], before: tuple[str, ...]) -> None:
    island.engine("VLLM::Worker_TP0", before=before)
    done = island.guard(*port)
    named = re.search(
        r"another vLLM runs on this host: pid (\d+) \(user (.+?)\): (.+?) \((\d+) MiB", done.stdout
    )
    assert done.returncode == 2 and named, done.stdout
    assert named[3] == "VLLM::Worker_TP0" and 60 <= int(named[4]) < 90
    assert f"remedy: end it (kill {named[1]})" in done.stdout and done.stdout.count("\n") == 2
    island.start("sh", "-c", f"kill {named[1]}; echo 1")  # the id is the right one


def test_an_engine_that_ends_in_the_driver_is_known_by_its_name(
    island: Island, port: tuple[str, str]
) -> None:
    pid = island.engine("VLLM::Worker_TP0", "ending")
    done = island.guard(*port)
    assert done.returncode == 2 and re.search(rf"pid {pid} \(user \S+\): VLLM::Worker_TP \(", done.stdout), (
        done.stdout
    )


@as_root
def test_an_engine_of_another_user_is_named_with_him(island: Island, port: tuple[str, str]) -> None:
    # Not the tests' interpreter, which may lie where that user cannot go.
    engine = "echo $$; exec -a VLLM::EngineCore sleep 120"
    pid = island.start("setpriv", "--reuid=65534", "--clear-groups", "bash", "-c", engine)
    assert f"pid {pid} (user nobody): VLLM::EngineCore 120 (" in island.guard(*port).stdout


def test_who_ends_meanwhile_is_waited_for(island: Island, port: tuple[str, str], tmp_path: Path) -> None:
    pid = island.engine("VLLM::EngineCore")
    begin = time.monotonic()
    assert island.guard(*port, "--patience", "2").returncode == 2
    assert time.monotonic() - begin >= 2
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, ThreadPoolExecutor() as pool:
        systemd.bind(f"{tmp_path}/notify")
        systemd.settimeout(30)
        options = (*port, "--patience", "40")
        patient = pool.submit(island.guard, *options, NOTIFY_SOCKET=f"{tmp_path}/notify")
        words = systemd.recv(999).decode()
        assert words.startswith(f"STATUS=waiting to start: another vLLM runs on this host: pid {pid} "), words
        island.start("sh", "-c", f"kill {pid}; echo 1")
        done = patient.result()
    assert done.returncode == 0, done.stdout


def test_a_refusal_is_systemds_status(island: Island, port: tuple[str, str], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"{tmp_path}/notify")
        systemd.settimeout(30)
        options = (*port, "--model-directory", tmp_path / "nowhere")
        assert island.guard(*options, NOTIFY_SOCKET=f"{tmp_path}/notify").returncode == 2
        assert systemd.recv(999).decode() == f"STATUS=start refused: {tmp_path}/nowhere is no directory"


def test_a_port_held_by_another_is_named(island: Island, port: tuple[str, str]) -> None:
    pid = island.start(sys.executable, "-c", LISTEN, port[1])
    done = island.guard(*port)
    assert done.returncode == 2 and f"127.0.0.1:{port[1]} is held by pid {pid} (user " in done.stdout
    assert island.guard(*port, "--pid", str(pid)).returncode == 0


def test_a_broken_model_is_refused_at_once(island: Island, port: tuple[str, str], model: Path) -> None:
    options = (*port, "--patience", "300", "--model-directory")
    (model / "model-00002-of-00002.safetensors").write_bytes(b"1234")
    (model / "tokenizer.json").write_text('{"a": {"b": [1, 2')
    island.engine("VLLM::EngineCore")
    done = island.guard(*options, model)  # which gives it less time than that
    assert done.returncode == 2
    for words in (
        "model-00002-of-00002.safetensors is cut",
        "tokenizer.json is no valid JSON",
        "VLLM::EngineCore",
    ):
        assert words in done.stdout
    done = island.guard(*options, model / "nowhere")
    assert done.returncode == 2 and f"{model}/nowhere is no directory" in done.stdout


def test_a_warning_stops_no_start(island: Island, port: tuple[str, str], model: Path) -> None:
    (model / "generation_config.json").unlink()
    done = island.guard(*port, "--model-directory", model)
    assert done.returncode == 0 and "generation_config.json is missing" in done.stdout


@as_root
def test_the_model_is_read_as_the_user_who_serves_it(
    island: Island, port: tuple[str, str], tmp_path: Path
) -> None:
    options = (*port, "--model-directory", tmp_path)
    tmp_path.chmod(0o700)
    assert "config.json is missing" in island.guard(*options).stdout
    done = island.guard(*options, "--user", "nobody")
    assert done.returncode == 2 and f"user nobody cannot read {tmp_path}" in done.stdout
    assert "there is no user mr-nobody" in island.guard(*options, "--user", "mr-nobody").stdout
