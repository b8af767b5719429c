"""Two texts to /v1/embeddings: as many vectors, of one length, without NaN, and not the same."""

import argparse

from python_checks.api import embeddings
from python_checks.api.http import fetch
from python_checks.core import options as opt
from python_checks.core.result import Result, conclude
from python_checks.core.say import count

NEEDS: tuple[str, ...] = ("requests",)

TIMEOUT = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    opt.add_url(parser)
    opt.add_model(parser)
    opt.add_timeout(parser, TIMEOUT)


def run(options: argparse.Namespace) -> Result:
    """Ask once."""
    reply = fetch("POST", options.url + embeddings.PATH, options.timeout, embeddings.body(options.model))
    return judge(embeddings.vectors(reply))


def judge(found: list[embeddings.Vector]) -> Result:
    """Accept vectors that tell the texts apart."""
    faults = embeddings.faults(found, len(embeddings.TEXTS))
    size = len(found[0])
    words = count(
        len(found),
        "{number} text has an embedding of {size} numbers",
        "{number} texts have {number} different embeddings of {size} numbers",
        size=size,
    )
    return conclude("embedding", faults, words, {"numbers": size})
