"""Give the gateway its keys: rows on standard input become its map, and a running gateway takes them up at once."""

import argparse
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from python_checks.core import whole_file
from python_checks.core.result import CheckError, Fault, Result, State, conclude
from python_checks.core.say import say
from python_checks.gateway import keys
from python_checks.gateway import options as own

NEEDS: tuple[str, ...] = ()

PROBE = "probe"  # the name of the key that probes have


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this step."""
    own.add_socket(parser)
    parser.add_argument("--map", type=Path, required=True, metavar="FILE", help="where HAProxy reads them")
    parser.add_argument(
        "--probe-key",
        type=Path,
        required=True,
        metavar="FILE",
        help="the key of the probes, made when it is missing",
    )


def run(options: argparse.Namespace) -> Result:
    """Write the map, and have it taken up."""
    try:
        given = json.load(sys.stdin)
        defaults = keys.Defaults(
            tuple(given["services"]), int(given["parallel"]), int(given["requests_a_minute"])
        )
        rows = list(given["rows"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckError(
            Fault(
                say("standard input holds no list of keys: {error}", error=error),
                say("deploy.yml gives one"),
                State.UNKNOWN,
            )
        ) from error
    if any(row.get("name") == PROBE for row in rows):
        raise CheckError(
            Fault(
                say("{name} is the name of the probes' own key", name=PROBE), say("give the row another name")
            )
        )
    own_row = {
        "name": PROBE,
        "sha256": keys.digest(probe_key(options.probe_key)),
        "parallel": 0,
        "requests_a_minute": 0,
    }
    lines = keys.lines([*rows, own_row], defaults)
    text = "".join(f"{line}\n" for line in lines)
    changed = not options.map.exists() or options.map.read_text(encoding="utf-8") != text
    if changed:
        whole_file.write(options.map, text)
    # Also where the file was right: an earlier run may have been ended in between.
    with suppress(FileNotFoundError, ConnectionRefusedError):
        changed |= keys.apply(options.socket, options.map, lines)
    numbers = {"rows": len(rows), "names": len({row["name"] for row in rows})}
    words = (
        say("keys: {rows}, names: {names}; the gateway has them from now on", **numbers)
        if changed
        else say("keys: {rows}, names: {names}; as before", **numbers)
    )
    return conclude("keys", [], words)


def probe_key(file: Path) -> str:
    """Return the key of the probes; only root reads its file."""
    with suppress(FileExistsError):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as new:
            new.write(keys.make())
    return file.read_text(encoding="ascii")
