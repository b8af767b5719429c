"""Give the gateway a certificate: it is looked at, joined with its key, and taken up by a running gateway without a cut stream."""

import argparse
import os
import re
import ssl
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from python_checks.core import command, regular_file
from python_checks.core.result import CheckError, Fault, Result, conclude
from python_checks.gateway import admin
from python_checks.gateway import options as own

NEEDS: tuple[str, ...] = ()

LARGEST = 2**20  # bytes of a certificate with its chain
WAIT = 10.0  # seconds for openssl
REMEDY = "gateway_certificate and gateway_certificate_key name a certificate with its chain, and its key, both in PEM"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    own.add_socket(parser)
    parser.add_argument(
        "--certificate", type=Path, required=True, metavar="FILE", help="with its chain, in PEM"
    )
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="its private key, in PEM")
    parser.add_argument(
        "--joined", type=Path, required=True, metavar="FILE", help="both, where HAProxy reads them"
    )
    parser.add_argument("--group", type=int, required=True, metavar="GID", help="the group that reads it")


def run(options: argparse.Namespace) -> Result:
    """Look at both, and have them taken up."""
    certificate, key = read(options.certificate), read(options.key)
    until = sound(options.certificate, options.key)
    text = certificate + key
    changed = not options.joined.exists() or options.joined.read_text(encoding="ascii") != text
    if changed:
        write(options.joined, text, options.group)
        with suppress(FileNotFoundError, ConnectionRefusedError):
            take_up(options.socket, options.joined, text)
    days = int((until - time.time()) / 86400)
    return conclude(
        "gateway-certificate",
        [],
        f"valid for {days} days, {'taken up' if changed else 'as before'}",
        {"changed": changed},
    )


def read(path: Path) -> str:
    """Return a PEM file, ended by a line end.

    Raises:
        CheckError: it cannot be read, or is none.
    """
    try:
        return regular_file.content(path, limit=LARGEST).decode("ascii").strip() + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise CheckError(Fault(f"{path} cannot be read: {error}", REMEDY)) from error


def sound(certificate: Path, key: Path) -> float:
    """Return the end of a certificate's validity in seconds since the epoch.

    Raises:
        CheckError: it and the key are no pair, or it is not valid now.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise CheckError(
            Fault(f"{certificate} and {key} are no certificate and its key: {error}", REMEDY)
        ) from error
    until = end_of(certificate)
    if until <= time.time():
        raise CheckError(
            Fault(
                f"{certificate} ended on {time.strftime('%Y-%m-%d', time.gmtime(until))}",
                "renew it, and deploy again",
            )
        )
    return until


def _no_password() -> str:
    raise ValueError("the key wants a password, which nobody could type at a start")


def end_of(certificate: Path) -> float:
    """Return when a certificate ends, in seconds since the epoch.

    Raises:
        CheckError: openssl does not say.
    """
    said = command.run(["openssl", "x509", "-noout", "-enddate", "-in", str(certificate)], WAIT).text
    found = re.search(r"notAfter=(.+)", said)
    if not found:
        raise CheckError(Fault(f"openssl does not say when {certificate} ends: {said[:200]}", REMEDY))
    return ssl.cert_time_to_seconds(found[1])


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
            Fault(f"the gateway does not take the certificate up: {done[:200]}", "systemctl reload gateway")
        )
