"""The model's directory is complete (the guide's section 2.2) and its weights are whole, by their headers."""

import argparse
from pathlib import Path

from python_checks.core.result import Result
from python_checks.model import files

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the options of this check; `all` knows the directory as --model-directory."""
    parser.add_argument(
        "--directory",
        "--model-directory",
        type=Path,
        required=required,
        metavar="DIR",
        help="directory with config.json, the tokenizer and the weights",
    )


def run(options: argparse.Namespace) -> Result:
    """Read the small files whole and of each weight file the header only."""
    return files.look(options.directory)
