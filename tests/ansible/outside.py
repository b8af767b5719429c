"""A site without a direct way out: a forward proxy that asks for a password, and behind it an HTTPS server with a private CA.

The server's name is known to the proxy alone, so what arrives there came through it.
"""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.serving import running

NAME = "packages.site.invalid"
USER, PASSWORD = "operator", "Zx9-proxy-Qw7"
EXTENSIONS = f"subjectAltName=DNS:{NAME}"


class Files(SimpleHTTPRequestHandler):
    """Serves a directory; its listings of wheels are what pip and uv read as an index."""

    def log_message(self, *_: object) -> None:
        """Note what was asked for, in silence."""
        self.server.requested.append(self.path)  # type: ignore[attr-defined]  # it is an Https


class Tunnels(BaseHTTPRequestHandler):
    """A proxy: CONNECT, with name and password, to the one server that it knows."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_CONNECT(self) -> None:
        """Join the caller and the server."""
        self.server.asked.append(self.path)
        wanted = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        host, _, port = self.path.rpartition(":")
        if self.headers.get("Proxy-Authorization") != f"Basic {wanted}":
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="site"')  # curl asks first which way there is
            self.send_header("Connection", "close")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif host != NAME:
            self.send_error(502)
        else:
            self.server.tunnels += 1
            with socket.create_connection(("127.0.0.1", int(port))) as other:
                self.send_response(200)
                self.end_headers()
                self.join(other)
        self.close_connection = True

    def join(self, other: socket.socket) -> None:
        """Pass bytes on until one side ends."""
        pairs = {self.connection: other, other: self.connection}
        with suppress(OSError):
            while ready := select.select([*pairs], [], [], 60)[0]:
                for each in ready:
                    data = each.recv(65536)
                    if not data:
                        return
                    pairs[each].sendall(data)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


class Proxy(ThreadingHTTPServer):
    """Counts what it was asked for, and what it let through."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Tunnels)
        self.asked: list[str] = []
        self.tunnels = 0


class Https(ThreadingHTTPServer):
    """Keeps what callers asked for, and what they had against its certificate."""

    daemon_threads = True
    refusals = ""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.requested: list[str] = []

    def handle_error(self, *_: object) -> None:
        """Note the alert of a caller that goes away."""
        self.refusals += str(sys.exc_info()[1])


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl req for a key and a certificate."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *arguments]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=True)


class Site:
    """Both servers; ``files`` is what the HTTPS server serves.

    Attributes:
        url: of the HTTPS server.
        ca: file with the certificate of its CA.
    """

    def __init__(self, folder: Path) -> None:
        self.files, self.ca = folder / "files", folder / "ca.pem"
        self.files.mkdir(parents=True)
        # Python 3.13 accepts no CA without this extension.
        signs = ("-addext", "keyUsage=critical,keyCertSign")
        openssl(folder, "-subj", "/CN=CA of the site", *signs, "-keyout", "ca.key", "-out", "ca.pem")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
        openssl(
            folder,
            "-subj",
            f"/CN={NAME}",
            "-addext",
            EXTENSIONS,
            *signed,
            "-keyout",
            "own.key",
            "-out",
            "own.pem",
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "own.pem", folder / "own.key")
        self.server = Https(("127.0.0.1", 0), partial(Files, directory=str(self.files)))
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.proxy = Proxy()
        self.url = f"https://{NAME}:{self.server.server_address[1]}"

    def proxies(self, password: str = PASSWORD) -> dict[str, str]:
        """Return ``host_proxy_environment`` for a host of this site."""
        url = f"http://{USER}:{password}@127.0.0.1:{self.proxy.server_address[1]}"
        return {"http_proxy": url, "https_proxy": url, "no_proxy": "localhost,127.0.0.1"}

    @contextmanager
    def running(self) -> Iterator[Site]:
        """Have both servers serve while the block runs."""
        with running(self.server), running(self.proxy):
            yield self
