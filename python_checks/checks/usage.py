"""Who used how much of the served models, by key: requests, tokens, errors, time."""

import argparse
import csv
import datetime
import re
import sqlite3
from pathlib import Path

from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Line, Result, State, conclude
from python_checks.core.say import Said, say
from python_checks.gateway import books

NEEDS: tuple[str, ...] = ()

COLUMNS = (*books.Who._fields, *books.Sum._fields)


def month(value: str) -> str:
    """Return a month as 2026-11, or refuse another text."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", value):
        raise argparse.ArgumentTypeError(f"not a month such as 2026-11: {value!r}")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    parser.add_argument("--books", type=Path, metavar="FILE", help="the sums, an SQLite file")
    parser.add_argument("--month", type=month, help="which month, such as 2026-11 (this one)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the rows there, too")
    parser.add_argument(
        "--collect", type=Path, metavar="DIRECTORY", help="first add up what the gateway wrote down there"
    )
    parser.add_argument(
        "--metrics", type=Path, metavar="FILE", help="write totals a key there for Prometheus; ends in .prom"
    )


def run(options: argparse.Namespace) -> Result:
    """Add up, and show."""
    if not options.books:
        raise CheckError(Fault(say("which books?"), say("give --books"), State.UNKNOWN))
    today = datetime.date.today()
    wanted = options.month or today.strftime("%Y-%m")
    try:
        if options.collect:
            books.record(options.books, books.days(options.collect), today)
        if options.metrics:
            metrics(options.metrics, books.read(options.books, "%"))
        found = books.read(options.books, f"{wanted}-%")
    except (OSError, sqlite3.Error) as error:
        reason = say("the books cannot be read: {error}", error=error)
        remedy = say("has a gateway served here? Ask as root, who may read them")
        raise CheckError(Fault(reason, remedy, State.UNKNOWN)) from error
    rows = [[*who, *used] for who, used in found.items()]
    if options.csv:
        with options.csv.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    tokens = sum(used.prompt + used.completion for used in found.values())
    words = say(
        "{month}: {keys} keys, {requests} requests, {tokens} tokens",
        month=wanted,
        keys=len({who.key for who in found}),
        requests=sum(used.requests for used in found.values()),
        tokens=tokens,
    )
    screen = [Line(who.key, told(who, used)) for who, used in found.items()]
    return conclude(
        "usage", [], words, {"rows": [dict(zip(COLUMNS, row, strict=True)) for row in rows], "screen": screen}
    )


def told(who: books.Who, used: books.Sum) -> Said:
    """Return a sum in words."""
    return say(
        "{service:8} {model}: {requests} requests ({errors} refused or failed, {cut} cut),"
        " {prompt} + {completion} tokens ({reasoning} of them reasoning), {seconds} s",
        **used._asdict()
        | {"service": who.service, "model": who.model or "-", "seconds": round(used.milliseconds / 1000)},
    )


def metrics(file: Path, found: dict[books.Who, books.Sum]) -> None:
    """Write totals a key in one step.

    Raises:
        OSError: it cannot be written.
    """
    # Loaded here: it takes longer than the sums.
    from prometheus_client import CollectorRegistry, write_to_textfile
    from prometheus_client.core import CounterMetricFamily

    class Totals:
        def collect(self) -> list[CounterMetricFamily]:
            requests = CounterMetricFamily(
                "vllm_gateway_key_requests", "Requests of a key.", labels=books.Who._fields
            )
            errors = CounterMetricFamily(
                "vllm_gateway_key_errors", "Of these, refused or failed.", labels=books.Who._fields
            )
            tokens = CounterMetricFamily(
                "vllm_gateway_key_tokens", "Tokens of a key.", labels=(*books.Who._fields, "kind")
            )
            for who, used in found.items():
                requests.add_metric(who, used.requests)
                errors.add_metric(who, used.errors)
                tokens.add_metric((*who, "prompt"), used.prompt)
                tokens.add_metric((*who, "completion"), used.completion)
            return [requests, errors, tokens]

    registry = CollectorRegistry()
    registry.register(Totals())
    write_to_textfile(str(file), registry)
    file.chmod(0o644)
