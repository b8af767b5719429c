"""Bring a model to this host, resumed and verified, and give it its name only when it is whole; or remove one again."""

import argparse
import json
import sys
from pathlib import Path

from python_checks.core import hidden, regular_file
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Result, conclude
from python_checks.core.say import count, msg, say
from python_checks.core.words import GIB
from python_checks.model import fetching, manifest, staged, staging
from python_checks.model.download import Http
from python_checks.model.sources import Directory, Sent, Source
from python_checks.service import registry

NEEDS: tuple[str, ...] = ()

REMOVED, NOT_THERE = msg("removed {directory}"), msg("{directory} is not there")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add = parser.add_argument
    add("--directory", type=Path, required=True, metavar="DIR", help="where the model is to be")
    add("--source", metavar="URL|DIR", help="address or directory with the files and SHA256SUMS")
    add("--authorization-file", type=Path, metavar="FILE", help="holds the value of the header Authorization")
    add(
        "--expect",
        action="store_true",
        help="tell what is to be sent: stdin has JSON with SHA256SUMS and sizes",
    )
    add("--sent", action="store_true", help="verify what was sent since, and give the model its name")
    add(
        "--full",
        action="store_true",
        help="read each file of a model that is there, whatever its size and time",
    )
    add(
        "--remove",
        action="store_true",
        help="remove a model that was staged, and what an unfinished run left",
    )


def run(options: argparse.Namespace) -> Result:
    """Do what is asked; a model that is there and right is left alone."""
    if options.remove:
        gone = staged.remove(options.directory, _served)
        words = REMOVED if gone else NOT_THERE
        return conclude("model", [], say(words, directory=options.directory))
    place = staging.Staging(options.directory)
    if options.expect:
        return _expect(options, place)
    source = Sent(place.ready) if options.sent else _source(options)
    text = fetching.patiently(
        manifest.NAME, fetching.Progress(say("asking for the manifest"), 0), source.sums
    )
    sums = manifest.parse(text)
    if staged.there(options.directory):
        words = say("{directory} is as its manifest says", directory=options.directory)
        return conclude("model", staged.faults(options.directory, sums, options.full), words)
    fetched = place.stage(source, sums, text)
    words = count(
        len(sums),
        "staged {directory}: {number} file, {size:.2f} GiB fetched in this run",
        "staged {directory}: {number} files, {size:.2f} GiB fetched in this run",
        directory=options.directory,
        size=fetched / GIB,
    )
    return conclude("model", [], words, {"files": len(sums), "fetched": fetched})


def _expect(options: argparse.Namespace, place: staging.Staging) -> Result:
    """Say in the evidence what is to be sent: name -> where to, and how many bytes are there."""
    given = json.load(sys.stdin)
    sums = manifest.parse(given["sums"])
    if staged.there(options.directory):
        words = say("{directory} is as its manifest says", directory=options.directory)
        return conclude(
            "model",
            staged.faults(options.directory, sums, options.full),
            words,
            {"missing": {}, "there": True},
        )
    missing = place.plan(sums, given["sums"], given["sizes"])
    words = count(len(missing), "{number} file is missing", "{number} files are missing")
    return conclude("model", [], words, {"missing": missing, "there": False})


def _source(options: argparse.Namespace) -> Source:
    """Return the source that is named.

    Raises:
        CheckError: none is, or it cannot be used.
    """
    given = options.source or ""
    if not given.startswith(("http://", "https://")):
        if not Path(given).is_absolute():
            words = say("{source} is neither a URL of http(s) nor an absolute path", source=repr(given))
            raise CheckError(Fault(words, say("give --source, vllm_model_source in the inventory")))
        return Directory(Path(given))
    try:
        url = opt.url(given)
    except argparse.ArgumentTypeError as error:
        raise CheckError(Fault(str(error), say("correct vllm_model_source"))) from error
    if any(char in url.split("//", 1)[1] for char in "@?#"):
        words = say("the URL of the source holds a password, a query or a fragment")
        raise CheckError(
            Fault(words, say("name the directory alone, and give vllm_model_authorization the secret"))
        )
    return Http(url, _secret(options.authorization_file))


def _secret(path: Path | None) -> str:
    """Return what the server asks for, which no output will hold."""
    if path is None:
        return ""
    try:
        secret = regular_file.content(path, limit=2**16).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        words = say("{path} cannot be read: {error}", path=path, error=error)
        raise CheckError(Fault(words, say("correct --authorization-file"))) from error
    if not secret.isascii() or not secret.isprintable():
        words = say("the header Authorization of {path} is not one line of ASCII", path=path)
        raise CheckError(Fault(words, say("correct vllm_model_authorization")))
    hidden.hide(secret)
    for word in secret.split()[1:]:
        hidden.hide(word)
    return secret


def _served(directory: Path) -> str:
    """Return the service of this host whose model it is, empty when there is none."""
    real = directory.resolve()
    return next(
        (row.name for row in registry.siblings("") if row.model and Path(row.model).resolve() == real), ""
    )
