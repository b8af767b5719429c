"""What the manager of a host knows about its services: handed in as JSON, because no check knows a manager."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from python_checks.core.result import shorten
from python_checks.host.ports import WILDCARDS

WELL = ("", "success", "exit code 0", "exit status 0", "killed by SIGTERM", "terminated by SIGTERM")


@dataclass(frozen=True)
class Service:
    """One service.

    Attributes:
        name: Its name; vllm and backend are known here.
        state: running, starting, stopping, restarting (ended, and is started again), stopped (by someone), failed,
            down (with its manager) or absent.
        words: The manager's own word for its state; `detail` what it adds, `told` its last lines about the service.
        pid: Its main process, 0 when there is none.
        since: When the state began, in seconds since the epoch; 0 when unknown.
        restarts: Automatic ones within the last `restarts_hours`; these 0: since it was last started by hand.
        gave_up: The manager will not start it again by itself.
        ended: How its main process ended, in words.
        running: The release that runs; `current` the activated one; `stale`: they differ.
        command: Its command, `log` the file of its output.
        boot: It is started with the host.
        start: The command for a person to start it; `restart` and `history` (the manager's own log) alike.
    """

    name: str
    state: str = "absent"
    words: str = ""
    detail: str = ""
    told: Sequence[str] = ()
    pid: int = 0
    since: float = 0.0
    restarts: int = 0
    restarts_hours: int = 0
    gave_up: bool = False
    ended: str = ""
    running: str = ""
    current: str = ""
    stale: bool = False
    command: Sequence[str] = ()
    log: str = ""
    boot: bool = True
    start: str = ""
    restart: str = ""
    history: str = ""

    @property
    def put_down(self) -> bool:
        """Tell whether it was stopped, and ended as it should: then its log explains nothing."""
        return self.state == "stopped" and self.ended in WELL

    def option(self, *names: str, default: str = "") -> str:
        """Return the value of an option of its command, under one of its names."""
        for place, word in enumerate(self.command):
            name, sign, value = word.partition("=")
            if name in names:
                return value if sign else "".join(self.command[place + 1 : place + 2])
        return default

    @property
    def host(self) -> str:
        """Return the address that its command asks for; without one vLLM binds all, and uvicorn 127.0.0.1."""
        return self.option("--host", default="0.0.0.0" if self.name == "vllm" else "127.0.0.1")

    @property
    def port(self) -> int:
        """Return the port that its command asks for; 8000 is the default of vLLM and of uvicorn."""
        number = self.option("--port", default="8000")
        return int(number) if number.isdecimal() else 8000

    @property
    def url(self) -> str:
        """Return where it is asked from this host."""
        host = "127.0.0.1" if self.host in WILDCARDS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def model(self) -> str:
        """Return the directory of vLLM's model: --model, or what follows `serve`."""
        words = list(self.command)
        served = words[words.index("serve") + 1 :][:1] if "serve" in words else []
        return self.option("--model", default="".join(served))

    @property
    def served_name(self) -> str:
        """Return the name of the model in the API."""
        return self.option("--served-model-name", default=self.model)


def load(text: str) -> dict[str, Service]:
    """Return name -> service of `{"services": {NAME: {...}}}`; fields that are not known here are left out.

    Raises:
        ValueError: it is something else.
    """
    document = json.loads(text)
    given: Any = document.get("services") if isinstance(document, dict) else None
    if not isinstance(given, dict) or not all(isinstance(facts, dict) for facts in given.values()):
        raise ValueError(f'no {{"services": {{NAME: {{...}}}}}}: {shorten(text)}')
    known = {field.name for field in fields(Service)} - {"name"}
    return {
        name: Service(name, **{key: value for key, value in given[name].items() if key in known})
        for name in sorted(given, key=lambda name: (name != "vllm", name))
    }


def facts(value: str) -> dict[str, Service]:
    """Return the services of a file, of standard input (`-`), or of JSON on the command line."""
    try:
        if value.startswith("{"):
            return load(value)
        return load(sys.stdin.read() if value == "-" else Path(value).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"no facts of the services: {error}") from error


def add_facts(parser: argparse.ArgumentParser) -> None:
    """Add --facts."""
    parser.add_argument(
        "--facts",
        type=facts,
        required=True,
        metavar="FILE",
        help="what the manager knows about the services: a file with JSON, - for standard input, or the JSON itself",
    )
