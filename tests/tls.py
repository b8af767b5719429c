"""A certificate that nobody signs, and a server that shows it."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "ml35.example"


def certificate(directory: Path, name: str, days: int = 825) -> tuple[Path, Path]:
    """Make a certificate and its key."""
    pem, key = directory / f"{name}.crt", directory / f"{name}.key"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"]
    command = ["openssl", "req", *kind, "-days", str(days), *names, "-keyout", key, "-out", pem]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return pem, key


@contextmanager
def shown(pem: Path, key: Path) -> Iterator[str]:
    """Show a certificate to whoever connects, and yield HOST:PORT."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)

    def serve() -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                channel, _ = listener.accept()
                channel.settimeout(5)
                with suppress(OSError), context.wrap_socket(channel, server_side=True) as talk:
                    talk.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
