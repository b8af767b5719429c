"""The command line: name -> check, one result each, exit code of the worst."""

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import TextIO

from python_checks import __version__
from python_checks.api import keys
from python_checks.core.hidden import without
from python_checks.core.options import Parser
from python_checks.core.result import CheckError, Result, State, conclude, of, one_line, worst
from python_checks.core.timed import timed
from python_checks.report import formats, language, textfile, verdict
from python_checks.service import targets

# Name -> module, of which only the chosen one is loaded: a probe may run every minute.
CHECKS = {
    "health": "checks.health",
    "models": "checks.models",
    "completion": "checks.completion",
    "embedding": "checks.embedding",
    "tool-call": "checks.tool_call",
    "chat": "checks.chat",
    "model-files": "checks.model_files",
    "port": "checks.port",
    "gpu": "checks.gpu",
    "config": "checks.config",
    "guard": "steps.guard",
    "wait": "steps.wait",
    "idle": "steps.idle",
    "restart": "steps.restart",
    "follow": "steps.follow",
    "latency": "checks.latency",
    "stop": "steps.stop",
    "status": "checks.status",
    "doctor": "checks.doctor",
    "canary": "checks.canary",
    "conformance": "checks.conformance",
    "gateway": "checks.gateway",
    "usage": "checks.usage",
    "key": "checks.key",
    "keys": "steps.keys",
    "rotation": "steps.rotation",
    "gateway-reload": "steps.gateway_reload",
    "gateway-certificate": "steps.gateway_certificate",
    "all": "checks.all",
}
SEVERAL = ("conformance", "all")  # these return a result for each of their cases
EPILOG = """\
exit codes: 0 ok, 1 warning, 2 critical, 3 unknown (also: wrong usage, interrupted)
help of one check: python -m python_checks tool-call --help"""


def load(name: str) -> ModuleType:
    """Load the module of a check."""
    return importlib.import_module(f"python_checks.{CHECKS[name]}")


def parser(names: Iterable[str] = CHECKS) -> argparse.ArgumentParser:
    """Build the parser: one subcommand for each of the checks in `names`."""
    top = Parser(
        prog="python -m python_checks",
        description="Probes of a served model: each prints a verdict, its reason, and a remedy on failure.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"vllm-deploy {__version__}")
    commands = top.add_subparsers(dest="check", required=True, metavar="CHECK", title="checks")
    for name in names:
        module = load(name)
        about = (module.__doc__ or "").strip()
        command = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        module.add_arguments(command)
        command.add_argument(
            "--format",
            choices=formats.FORMATS,
            default=vars(module).get("FORMAT", "text"),
            help="one line, a table, a screen, JSON, or JUnit's XML (%(default)s)",
        )
        language.add_language(command)
        command.add_argument(
            "--textfile",
            type=textfile.path,
            metavar="FILE",
            help="write metrics there, too, for node_exporter's textfile collector; ends in .prom",
        )
    return top


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what `arguments` ask for, print the results and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without UTF-8 must not end a probe
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _judge(arguments)
    except BrokenPipeError:
        return int(State.UNKNOWN)
    finally:
        _flush()


def _judge(arguments: Sequence[str] | None) -> int:
    try:
        return int(worst([result.state for result in _run(arguments)]))
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        print("python_checks UNKNOWN: interrupted")
    except CheckError as error:  # the verdict is printed, and monitoring does not get it
        words, remedy = one_line(str(error)), one_line(error.fault.remedy)
        print(f"python_checks UNKNOWN: {words}\nremedy: {remedy}", file=sys.stderr)
    except Exception as error:  # a library that is missing, or an output that broke: no verdict, so never 0
        words = one_line(f"unforeseen {type(error).__name__}: {error}")
        print(without(f"python_checks UNKNOWN: {words}"), file=sys.stderr)
    return int(State.UNKNOWN)


def _flush() -> None:
    """Write out what is printed; who reads it may have enough of it, as in `checks all | head -1`, and the verdict holds."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _silence(stream)


def _silence(stream: TextIO) -> None:
    """Let what is printed from now on go nowhere: Python would complain of the pipe at its end, too."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _run(arguments: Sequence[str] | None) -> list[Result]:
    words = list(sys.argv[1:] if arguments is None else arguments)
    # What is behind "--" is another program's: no word of it is ours to read.
    end = words.index("--") if "--" in words else len(words)
    top = parser(words[:1] if words[:1] and words[0] in CHECKS else CHECKS)
    options = top.parse_args(words[:end])
    options.arguments = words[end + 1 :]
    if options.arguments and options.check != "config":
        top.error(f"{options.check} takes nothing behind --")
    module = load(options.check)
    for library in module.NEEDS:  # loaded now, so that a check's time is its own
        importlib.import_module(library)
    try:
        results = _ask(options, module, words[1:end], top)
    except CheckError as error:
        results = [conclude(options.check, [error.fault], "")]
    if vars(options).get("remember") or vars(options).get("history"):  # options of some
        results = verdict.keep(options, results)
    with contextlib.suppress(BrokenPipeError, SystemExit):  # the latter is what rich makes of the former
        shown = language.shown(results, options.format, options.language)
        formats.FORMATS[options.format](shown, sys.stdout)
    _flush()
    if options.textfile:
        directory = vars(options).get("releases")  # an option of `all`
        textfile.write(options.textfile, results, verdict.activated(directory) if directory else {})
    return results


def _ask(
    options: argparse.Namespace, module: ModuleType, typed: Sequence[str], top: argparse.ArgumentParser
) -> list[Result]:
    """Run a check of what was typed, or of each service that it fits."""
    if options.check not in targets.OF_ONE or not targets.wanted(options, module, typed):
        return _results(options, module)
    results: list[Result] = []
    rows = targets.rows(options.check, options.service)
    for row in rows:
        told = targets.words(row, targets.known(module), with_key=not targets.addressed(module, typed))
        own = top.parse_args([options.check, *told, *typed])
        own.row = row
        results += [of(result, row.name, len(rows) > 1) for result in _results(own, module)]
    return results


def _results(options: argparse.Namespace, module: ModuleType) -> list[Result]:
    if vars(options).get("url"):  # an option of most
        keys.use(options.url, options.api_key_file)
    if options.check in SEVERAL:
        results: list[Result] = module.run(options, timed)
        return results
    return [timed(options.check, module.run, options)]
