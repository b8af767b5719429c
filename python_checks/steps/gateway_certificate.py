"""Give the gateway a certificate: it is looked at, joined with its key, and taken up by a running gateway without a cut stream."""

import argparse
import os
import ssl
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, Result, conclude
from python_checks.core.say import say
from python_checks.gateway import admin, certificates
from python_checks.gateway import options as own

NEEDS: tuple[str, ...] = ()

LARGEST = 2**20  # bytes of a certificate with its chain
REMEDY = say(
    "gateway_certificate and gateway_certificate_key name a certificate with its chain, and its key, both in PEM"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    own.add_socket(parser)
    parser.add_argument(
        "--certificate", type=Path, required=True, metavar="FILE", help="with its chain, in PEM"
    )
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="its private key, in PEM")
    parser.add_argument(
        "--joined",
        type=Path,
        metavar="FILE",
        help="both, where HAProxy reads them; without it they are only looked at",
    )
    parser.add_argument(
        "--group", type=int, default=-1, metavar="GID", help="the group that reads it (its own)"
    )


def run(options: argparse.Namespace) -> Result:
    """Look at both, and have them taken up where `joined` says."""
    certificate, key = read(options.certificate), read(options.key)
    sound(options.certificate, options.key)
    days = left(options.certificate, certificate)
    if options.joined is None:
        return conclude("gateway-certificate", [], say("valid for {days} days", days=days))
    text = certificate + key
    changed = not options.joined.exists() or options.joined.read_text(encoding="ascii") != text
    if changed:
        write(options.joined, text, options.group)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            take_up(options.socket, options.joined, text)
    words = (
        say("valid for {days} days; new connections get it from now on", days=days)
        if changed
        else say("valid for {days} days; as before", days=days)
    )
    return conclude("gateway-certificate", [], words)


def read(path: Path) -> str:
    """Return a PEM file, ended by a line end.

    Raises:
        CheckError: it cannot be read, or is none.
    """
    try:
        return regular_file.content(path, limit=LARGEST).decode("ascii").strip() + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise CheckError(
            Fault(say("{path} cannot be read: {error}", path=path, error=error), REMEDY)
        ) from error


def sound(certificate: Path, key: Path) -> None:
    """Refuse a certificate that does not fit its key.

    Raises:
        CheckError: it does not.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise CheckError(
            Fault(
                say(
                    "{certificate} and {key} are not a certificate and its key: {error}",
                    certificate=certificate,
                    key=key,
                    error=error,
                ),
                REMEDY,
            )
        ) from error


def _no_password() -> str:
    raise ValueError("the key wants a password, which nobody could type at a start")


def left(path: Path, text: str) -> int:
    """Return for how many more days a certificate is valid.

    Raises:
        CheckError: it has ended.
    """
    until = certificates.end(text)
    if until <= time.time():
        day = time.strftime("%Y-%m-%d", time.gmtime(until))
        raise CheckError(
            Fault(say("{path} ended on {day}", path=path, day=day), say("renew it, then deploy"))
        )
    return int((until - time.time()) / 86400)


def write(path: Path, text: str, group: int) -> None:
    """Replace a file with a private key in one step; its group may read it.

    Raises:
        OSError: it is not.
    """
    handle, name = tempfile.mkstemp(dir=path.parent)  # of mode 0600
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        os.fchown(handle, -1, group)
        os.fchmod(handle, 0o640)
    Path(name).replace(path)


def take_up(socket: Path, path: Path, text: str) -> None:
    """Have a running gateway use the certificate for new connections.

    Raises:
        FileNotFoundError, ConnectionRefusedError: none runs.
        CheckError: it does not take it.
    """
    # An empty line would end the payload.
    payload = "\n".join(line for line in text.splitlines() if line)
    answer = admin.ask(socket, f"set ssl cert {path} <<\n{payload}\n")
    done = admin.ask(socket, f"commit ssl cert {path}") if "ransaction" in answer else answer
    if "Success" not in done:
        raise CheckError(
            Fault(
                say("the gateway does not take up the certificate: {answer}", answer=done[:200]),
                say("systemctl reload gateway"),
            )
        )
