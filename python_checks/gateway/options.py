"""Options of what has to do with the gateway, each defined once."""

import argparse
from pathlib import Path

from python_checks.core import options as opt


def add_socket(parser: argparse.ArgumentParser) -> None:
    """Add --socket, where the gateway takes commands."""
    parser.add_argument(
        "--socket",
        type=Path,
        default=Path("/var/lib/gateway/admin.sock"),
        metavar="SOCKET",
        help="admin socket of the gateway (%(default)s)",
    )


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Add where the gateway is reached, and with what."""
    parser.add_argument(
        "--gateway-url", type=opt.url, metavar="URL", help="where programs of the host reach vLLM through it"
    )
    parser.add_argument(
        "--gateway-key-file",
        type=Path,
        metavar="FILE",
        help="holds a key for probes; without it no key is asked for",
    )
    parser.add_argument("--gateway-status", type=opt.url, metavar="URL", help="where it tells how it is")
    parser.add_argument("--gateway-tls", metavar="HOST:PORT", help="where it speaks TLS")
