"""What the manager of a host knows about one of its services, in the same words under every manager."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from python_checks.host.ports import WILDCARDS

CHAT, EMBED = ENGINES = ("chat", "embed")  # kinds of services that are a vLLM
WELL = ("", "success", "exit code 0", "exit status 0", "killed by SIGTERM", "terminated by SIGTERM")


@dataclass(frozen=True)
class Service:
    """One service.

    Attributes:
        name: Its name; `kind`: what it is, as its row says (registry.py).
        state: running, starting, stopping, restarting (ended, and is started again), stopped (by someone), failed,
            down (with its manager) or absent.
        words: The manager's own word for its state; `detail` what it adds, `told` its last lines about the service.
        pid: Its main process, 0 when there is none.
        since: When the state began, in seconds since the epoch; 0 when unknown. `ready`: when its start had answered a chat; 0: not told.
        restarts: Automatic ones within the last `restarts_hours`; these 0: since it was last started by hand.
        gave_up: The manager will not start it again by itself.
        ended: How its main process ended, in words.
        running: The release that runs; `current` the activated one; `stale`: they differ.
        command: Its command, `log` the file of its output.
        until: When a plan starts it again that stopped it, in seconds since the epoch; 0 when none did.
        boot: It is started with the host.
        start: The command for a person to start it; `restart` and `history` (the manager's own log) alike.
        address: The URL that its row has; `health_path`: answers 200 there when it is well.
    """

    name: str = ""
    kind: str = CHAT
    state: str = "absent"
    words: str = ""
    detail: str = ""
    told: Sequence[str] = ()
    pid: int = 0
    since: float = 0.0
    ready: float = 0.0
    restarts: int = 0
    restarts_hours: int = 0
    gave_up: bool = False
    ended: str = ""
    running: str = ""
    current: str = ""
    stale: bool = False
    command: Sequence[str] = ()
    log: str = ""
    until: float = 0.0
    boot: bool = True
    start: str = ""
    restart: str = ""
    history: str = ""
    address: str = ""
    health_path: str = "/health"

    @property
    def engine(self) -> bool:
        """Tell whether it is a vLLM."""
        return self.kind in ENGINES

    @property
    def asked(self) -> bool:
        """Tell whether it has an address."""
        return self.engine or bool(self.address)

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
        """Return the address that its command asks for; without one vLLM binds all."""
        otherwise = "0.0.0.0" if self.engine else urlsplit(self.address).hostname or "127.0.0.1"
        return self.option("--host", default=otherwise)

    @property
    def port(self) -> int:
        """Return the port that its command asks for, or else that of its URL; 8000 is the default of vLLM and of uvicorn."""
        number = self.option("--port")
        return int(number) if number.isdecimal() else urlsplit(self.address).port or 8000

    @property
    def url(self) -> str:
        """Return where it is asked from this host."""
        if self.address:
            return self.address
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

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self) | {"told": list(self.told), "command": list(self.command)}
