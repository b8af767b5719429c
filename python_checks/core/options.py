"""Options that several checks share, each defined once."""

import argparse
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from python_checks.core.result import CheckError, Fault
from python_checks.core.say import say

URL = "http://127.0.0.1:8000"
MODEL = "gpt-oss-120b"


class Parser(argparse.ArgumentParser):
    """An argument parser whose usage errors exit 3 (unknown): 2 would claim that the server is broken; `known`: its options."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Know no option yet."""
        self.known: set[str] = set()
        super().__init__(*arguments, **named)

    def add_argument(self, *names: Any, **named: Any) -> argparse.Action:
        """Add an option, and know it."""
        self.known.update(names)
        return super().add_argument(*names, **named)

    def exit(self, status: int = 0, message: str | None = None) -> None:  # type: ignore[override]  # NoReturn there
        """Leave with 0 after --help and with 3 after a usage error."""
        super().exit(3 if status else 0, message)


class ServiceParser(Parser):
    """A parser for options that a service's command holds: what it refuses, the service will refuse as well."""

    def error(self, message: str) -> NoReturn:
        """Report it as a fault."""
        raise CheckError(Fault(message, say("correct this option of the service, and deploy again")))


def url(value: str) -> str:
    """Return a base URL without its closing slash, or refuse what is no http(s) URL."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"not a URL like {URL}: {value!r}")
    return value.rstrip("/")


def seconds(value: str) -> float:
    """Return a positive number of seconds."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"not a number of seconds above 0: {value!r}")
    return number


def port(value: str) -> int:
    """Return a TCP port, 1 to 65535."""
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise argparse.ArgumentTypeError(f"not a port from 1 to 65535: {value!r}")
    return int(value)


def pid(value: str) -> int:
    """Return a process id, 1 or more."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"not a process id: {value!r}")
    return int(value)


def add_url(parser: argparse.ArgumentParser, default: str | None = URL) -> None:
    """Add --url, the base URL of vLLM, and --api-key-file, what it is asked with."""
    parser.add_argument("--url", type=url, default=default, help=f"base URL of vLLM, e.g. {URL}")
    parser.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help="holds the key that vLLM asks for, or a systemd credential of the same name does (VLLM_API_KEY of the environment)",
    )


def add_service(
    parser: argparse.ArgumentParser,
    about: str = "of this host; without it, and without an address, every service that the check fits",
) -> None:
    """Add --service, the name of a service of this host; `about` is its help."""
    parser.add_argument("--service", default="", metavar="NAME", help=about)


def add_model(parser: argparse.ArgumentParser, default: str | None = MODEL) -> None:
    """Add --model, the served model name."""
    parser.add_argument("--model", default=default, help=f"served model name, e.g. {MODEL}")


def add_timeout(parser: argparse.ArgumentParser, default: float) -> None:
    """Add --timeout, the deadline of each request in seconds."""
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=default,
        metavar="SECONDS",
        help="deadline of each request (%(default)g s)",
    )


def add_server(parser: argparse.ArgumentParser, timeout: float) -> None:
    """Add what a check of vLLM needs: --url, --model and --timeout, the last in seconds."""
    add_url(parser)
    add_model(parser)
    add_timeout(parser, timeout)


def add_deadline(parser: argparse.ArgumentParser, default: float, of: str) -> None:
    """Add --deadline in seconds; `of` says of what."""
    parser.add_argument(
        "--deadline",
        type=seconds,
        default=default,
        metavar="SECONDS",
        help=f"of the whole {of} (%(default)g s)",
    )


def add_backend_url(parser: argparse.ArgumentParser, default: str | None = "http://127.0.0.1:8080") -> None:
    """Add --backend-url and --expect-tool, for the chat through the backend."""
    parser.add_argument(
        "--backend-url", type=url, default=default, help="base URL of the backend, e.g. http://127.0.0.1:8080"
    )
    parser.add_argument(
        "--expect-tool",
        default="search_policy",
        metavar="NAME",
        help="tool that the backend must report in tools_called; empty: none (%(default)s)",
    )


def add_langchain(parser: argparse.ArgumentParser) -> None:
    """Add --langchain-python, for the tool call through langchain_openai."""
    parser.add_argument(
        "--langchain-python",
        default="",
        metavar="PATH",
        help="interpreter with langchain_openai, such as the backend's: the same call through it",
    )


def add_remember(parser: argparse.ArgumentParser) -> None:
    """Add --remember, --history and --releases, for verdicts that others read later."""
    parser.add_argument(
        "--remember",
        type=Path,
        metavar="FILE",
        help="keep the verdict there for the status check; none while it runs",
    )
    parser.add_argument(
        "--history",
        type=Path,
        metavar="FILE",
        help="add the verdict to this JSON file, which keeps the last ones",
    )
    parser.add_argument(
        "--releases",
        type=Path,
        metavar="DIR",
        help="with SERVICE/current links: what the verdict is of",
    )
