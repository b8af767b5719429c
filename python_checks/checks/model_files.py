"""The model's directory is complete (the guide's section 2.2) and its weights are whole, by their headers."""

import argparse
from pathlib import Path

from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Result, State
from python_checks.core.say import say
from python_checks.model import files

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser, alone: bool = True) -> None:
    """Add the options of this check; `all` knows the directory as --model-directory, and which services it is about."""
    if alone:
        opt.add_service(parser)
    parser.add_argument(
        "--directory",
        "--model-directory",
        type=Path,
        metavar="DIR",
        help="directory with config.json, the tokenizer and the weights",
    )


def run(options: argparse.Namespace) -> Result:
    """Read the small files whole and of each weight file the header only."""
    if options.directory is None:
        raise CheckError(Fault(say("no directory is given"), say("give --directory DIR"), State.UNKNOWN))
    return files.look(options.directory)
