"""A real HAProxy with the configuration of roles/gateway, before the engine of ``engine.py``; all on free ports of 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
CHAT = "/v1/chat/completions"
KEY = "sk-of-the-team-that-tests"  # its row is in every door's map


def digest(key: str) -> str:
    """Return the hash by which a key is found."""
    return hashlib.sha256(key.encode()).hexdigest()


def row(
    name: str,
    key: str,
    until: int = 0,
    services: str = "|vllm|backend|",
    parallel: int = 0,
    minute: int = 0,
    tokens: int = 0,
) -> str:
    """Return a line of the map, written by hand."""
    return f"{digest(key)} {name}:{until}:{services}:{parallel}:{minute}:{tokens}\n"


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@dataclass
class Engine:
    """The server behind it, which may go and come back at its port."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None
    serves: bool = False

    @property
    def url(self) -> str:
        """Where it is without the gateway."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Have it serve, at once where it was started before."""
        if not self.process:
            program = [sys.executable, str(Path(__file__).with_name("engine.py")), str(self.port)]
            self.process = subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            self.serves = self._says("serving")
        elif not self.serves:
            self._turn()

    def stop(self) -> None:
        """Have it close its port and every connection, as one that died."""
        if self.serves:
            self._turn()

    def _turn(self) -> None:
        assert self.process and self.process.stdin
        self.process.stdin.write("\n")
        self.serves = self._says("away" if self.serves else "serving") and not self.serves

    def _says(self, word: str) -> bool:
        assert self.process and self.process.stdout and self.process.stdout.readline() == f"{word}\n"
        return True

    def remove(self) -> None:
        """End its process."""
        if self.process:
            self.process.kill()
            self.process.communicate(timeout=10)

    def end_streams(self) -> None:
        """Have the streams end that wait to be told."""
        requests.get(f"{self.url}/end", timeout=10)

    def seen(self) -> list[dict[str, Any]]:
        """Return the heads of what reached it."""
        return list(requests.get(f"{self.url}/seen", timeout=10).json()["seen"])

    def used(self) -> dict[str, dict[str, Any]]:
        """Return what it counted, by the id of the request."""
        return dict(requests.get(f"{self.url}/used", timeout=10).json())


@dataclass
class Door:
    """The gateway."""

    home: Path
    port: int
    status: int
    tree: Path
    engine: Engine
    backend_port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients reach vLLM."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        """Where its sockets and books are."""
        return self.home / "gateway"

    @property
    def map(self) -> Path:
        """The keys."""
        return self.state / "keys/keys.map"

    @property
    def drained(self) -> Path:
        """What a reload keeps out of the rotation."""
        return self.state / "drained"

    @property
    def log(self) -> str:
        """What it logged."""
        return (self.home / "log").read_text(errors="replace")

    def keys(self, *rows: str) -> None:
        """Write the map; a running gateway does not look at it."""
        self.map.write_text(row("team", KEY) + "".join(rows))

    def start(self) -> None:
        """Start it and wait until it and the engine behind it are there."""
        argv = [HAPROXY, "-W", "-S", str(self.state / "master.sock"), "-f", str(self.tree / "haproxy.cfg")]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(self.alive, 10, f"the gateway lives\n{self.log[-2000:]}")

    def alive(self) -> bool:
        """Tell whether it answers by itself."""
        with suppress(requests.RequestException):
            return requests.get(f"http://127.0.0.1:{self.status}/alive", timeout=2).ok
        return False

    def stop(self) -> None:
        """End master and workers, and wait for them."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def command(self, words: str) -> str:
        """Say something to the admin socket, as an operator does by hand."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(5)
            channel.connect(str(self.state / "admin.sock"))
            channel.sendall(words.encode() + b"\n")
            channel.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: channel.recv(65536), b"")).decode()

    def reload_by_hand(self) -> None:
        """Reload as `systemctl kill -s USR2` does, and wait for the new worker."""
        before = self.command("show info").partition("\nPid: ")[2].split()[0]
        assert self.process
        self.process.send_signal(signal.SIGUSR2)
        until(lambda: f"\nPid: {before}\n" not in self.command("show info"), 10, "a new worker")

    def up(self) -> bool:
        """Tell whether the engine may be given requests."""
        return any(
            line.startswith("vllm,main,") and ",UP," in line
            for line in self.command("show stat").splitlines()
        )

    def healthy(self) -> bool:
        """Tell whether the gateway sees the engine answer, drained or not."""
        lines = map(str.split, self.command("show servers state vllm").splitlines())
        return any(words[1:2] == ["vllm"] and words[5] == "2" for words in lines if len(words) > 5)

    @contextmanager
    def streaming(self, ask: Callable[..., requests.Response] | None = None) -> Iterator[None]:
        """Have a stream run meanwhile; it must live on, and end whole once it is told to."""
        before = len(self.engine.seen())
        with ThreadPoolExecutor(1) as pool:
            stream = pool.submit(ask or self.chat, stream=True, told=True, gap=0.1)
            try:
                until(lambda: len(self.engine.seen()) > before or stream.done(), 10, "the stream began")
                yield
                assert not stream.done()
            finally:
                self.engine.end_streams()
            assert stream.result().text.endswith("data: [DONE]\n\n")

    def books(self) -> list[dict[str, Any]]:
        """Return the lines of the books."""
        return [
            json.loads(line)
            for file in sorted((self.state / "usage").glob("*.jsonl"))
            for line in file.read_text().splitlines()
        ]

    def booked(self, key: str, number: int) -> None:
        """Wait until so many requests of a key are in the books: its client has the answer a moment before."""
        until(lambda: sum(line["key"] == key for line in self.books()) >= number, 5, f"{key} is in the books")

    def chat(
        self,
        key: str = KEY,
        path: str = CHAT,
        timeout: float = 30,
        head: dict[str, str] | None = None,
        **body: Any,
    ) -> requests.Response:
        """Ask for a chat."""
        heads = ({"Authorization": f"Bearer {key}"} if key else {}) | (head or {})
        return requests.post(self.url + path, json={"model": "m"} | body, headers=heads, timeout=timeout)


def played(home: Path, playbook: str, variables: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Play a playbook of this folder on this machine, a host of every group."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable} | variables
    groups = {name: {"hosts": {"door": None}} for name in ("vllm", "backend", "gateway", "monitoring")}
    inventory = home / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": host, "children": groups}}))
    program = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [program, "-i", inventory, REPOSITORY / "tests/gateway" / playbook],
        cwd=REPOSITORY,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def rendered(home: Path, variables: dict[str, Any]) -> Path:
    """Have the role write its configuration, and return where."""
    done = played(home, "render.yml", variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(home.glob("gateway/*/haproxy.cfg")).parent


@contextmanager
def opened(home: Path, run: bool = True, **variables: Any) -> Iterator[Door]:
    """Yield a door with these variables of the role, and end all of it."""
    engine, ports = Engine(), [free_port() for _ in range(4)]
    given = {
        "host_directory": str(home),
        "service_manager": "supervisor",
        "gateway_vllm_port": ports[0],
        "gateway_backend_port": ports[1],
        "gateway_status_port": ports[2],
        "vllm_port": engine.port,
        "backend_port": ports[3],
        "monitoring_port": engine.port,
        "gateway_keys": [{"name": "team", "sha256": digest(KEY)}],
    }
    tree = rendered(home, given | variables)
    door = Door(home, ports[0], ports[2], tree, engine, ports[1])
    (door.state / "usage").mkdir()
    (door.state / "keys").mkdir()
    door.drained.write_text("1\n")
    door.keys()
    with ExitStack() as ends:
        ends.callback(engine.remove)
        ends.callback(door.stop)
        if run:
            engine.start()
            door.start()
            until(door.up, 10, "the engine is up")
        yield door
        # An error of Lua: HAProxy goes on without the action or filter.
        assert not run or not re.search("runtime error|Lua filter", door.log)
