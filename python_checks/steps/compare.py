"""Two documents of `checks measure` side by side: a table of what differs, and whether the new release is worse than a limit."""

import argparse
from pathlib import Path

from python_checks.conformance import differences
from python_checks.conformance.differences import Difference
from python_checks.core.result import Line, Result, State, worst
from python_checks.core.say import say
from python_checks.report import document

NEEDS: tuple[str, ...] = ()
FORMAT = "screen"

LIMITS = {"slower": 25.0, "memory": 20.0}  # percent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    parser.add_argument("old", type=Path, metavar="OLD", help="document of the release that served before")
    parser.add_argument("new", type=Path, metavar="NEW", help="document of the new release")
    for name, words in (
        ("slower", "first token and tokens a second"),
        ("memory", "memory, GPU memory and KV cache"),
    ):
        parser.add_argument(
            f"--{name}",
            type=percent,
            default=LIMITS[name],
            metavar="PERCENT",
            help=f"that {words} may get worse (%(default)g)",
        )
    parser.add_argument(
        "--title", default="", metavar="WORDS", help="opens the screen, e.g. the host's name in an inventory"
    )


def percent(value: str) -> float:
    """Return a number of percent, 0 or more."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"not a number of percent: {value!r}")
    return number


def run(options: argparse.Namespace) -> Result:
    """Read both, then judge.

    Raises:
        CheckError: a document cannot be read.
    """
    rows = differences.judge(
        document.read(options.old),
        document.read(options.new),
        {name: vars(options)[name] for name in LIMITS},
    )
    return shown(rows, options.title)


def shown(rows: list[Difference], title: str) -> Result:
    """Make the table, its verdict first."""
    state, words = worst([row.state for row in rows]), differences.verdict(rows)
    remedy = say("stay with the release that served before, or raise the limit on purpose")
    lines = [Line(title or say("upgrade"), words, state), *map(_line, rows)]
    return Result(
        "compare",
        state,
        words,
        remedy if state is State.CRITICAL else "",
        evidence={
            "screen": lines,
            "differences": [row._asdict() | {"state": row.state.name.lower()} for row in rows],
        },
    )


def _line(row: Difference) -> Line:
    both = (
        say("{before} -> {after}", before=row.before, after=row.after)
        if row.before != row.after
        else row.after
    )
    return Line(row.what, say("{both}: {why}", both=both, why=row.why) if row.why else both, row.state)
