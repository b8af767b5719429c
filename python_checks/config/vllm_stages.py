"""vLLM's own way from its arguments to its configuration; a process of its own, since nothing else may import vLLM.

As its API server does it, up to where it would start the engine (vLLM 0.32: entrypoints/launchers/).
"""

import contextlib
import difflib
import gc
import importlib
import io
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

IMPORT, PARSE, BUILD = "importing vLLM", "parsing the arguments", "building the configuration"
LONGEST = 4000  # characters of vLLM's words that are passed on
# Where vLLM keeps each name, the newest place first.
CLI = (
    "vllm.entrypoints.common.cli_args",
    "vllm.entrypoints.launchers.cli_args",
    "vllm.entrypoints.openai.cli_args",
)
PLACES = {
    "FlexibleArgumentParser": ("vllm.utils.argparse_utils", "vllm.utils"),
    "AsyncEngineArgs": ("vllm.engine.arg_utils",),
    "UsageContext": ("vllm.usage.usage_lib",),
    "current_platform": ("vllm.platforms",),
    "make_arg_parser": CLI,
    "validate_parsed_serve_args": CLI,
    "validate_api_server_args": (
        CLI[0],
        "vllm.entrypoints.launchers.launcher",
        "vllm.entrypoints.openai.api_server",
    ),
    "ToolParserManager": ("vllm.tool_parsers", "vllm.entrypoints.openai.tool_parsers"),
    "ReasoningParserManager": ("vllm.reasoning",),
}


class Explicit(Namespace):
    """What arguments say themselves: a parser that finds every name here leaves its defaults out."""

    def __getattr__(self, name: str) -> None:
        """Have every public name."""
        if name.startswith("_"):
            raise AttributeError(name)


def examine(arguments: Sequence[str], stage: Callable[[str], None], extra: int = 0) -> dict[str, Any]:
    """Lead `arguments` through the stages, each told to `stage` as it begins.

    Returns:
        What vLLM made of them, or `error` (type), `bases`, `words`, `fields`, `module` and `similar` (flags); and `extra`: of
        each flag that the last `extra` arguments give, all its spellings.
    """
    flags: list[str] = []
    spellings: list[list[str]] = []
    try:
        stage(IMPORT)
        vllm = Namespace(**{name: _find(name, places) for name, places in PLACES.items()})
        stage(PARSE)
        parser = vllm.make_arg_parser(vllm.FlexibleArgumentParser())
        flags = [flag for action in parser._actions for flag in action.option_strings]
        serve = list(arguments[:1]) == ["serve"]
        given = _parse(parser, arguments[serve:])
        spellings = _spellings(parser, arguments[len(arguments) - extra :])
        if serve and given.model_tag is not None:  # of its two entry points only `vllm serve DIR` heeds it
            given.model = given.model_tag
        vllm.validate_parsed_serve_args(given)
        for kind, manager in ("tool", vllm.ToolParserManager), ("reasoning", vllm.ReasoningParserManager):
            if plugin := getattr(
                given, f"{kind}_parser_plugin", ""
            ):  # of the user's own, which may bring the parser
                getattr(manager, f"import_{kind}_parser")(plugin)
        vllm.validate_api_server_args(given)
        stage(BUILD)
        made = vllm.AsyncEngineArgs.from_cli_args(given).create_engine_config(
            usage_context=vllm.UsageContext.OPENAI_API_SERVER
        )
        if vllm.current_platform.is_cpu():
            _share_out_cores(made)
        return {
            "vllm": importlib.import_module("vllm").__version__,
            "platform": vllm.current_platform.device_type,
            "world_size": made.parallel_config.world_size,
            "max_model_len": made.model_config.max_model_len,
            "dtype": str(made.model_config.dtype),
            "extra": spellings,
        }
    except Exception as error:
        return _told(error, flags) | {"extra": spellings}


def _find(name: str, places: Sequence[str]) -> Any:
    """Return the name from the first place that has it.

    Raises:
        ModuleNotFoundError: none has it, or there is no vLLM, or something that it imports is not there.
    """
    for place in places:
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:  # of the place itself, or of what is imported there
            if error.name == "vllm" or not f"{place}.".startswith(f"{error.name}."):
                raise
            continue
        if hasattr(module, name):
            return getattr(module, name)
    raise ModuleNotFoundError(f"{name} is not in {', '.join(places)}", name=places[0])


def _spellings(parser: Any, arguments: Sequence[str]) -> list[list[str]]:
    """Return the spellings of each flag that `arguments` give, in whichever one; a word without a flag is a model."""
    given = vars(_parse(parser, arguments, Explicit()))
    found = [
        action.option_strings for action in parser._actions if action.option_strings and action.dest in given
    ]
    return [*found, *([["--model"]] if given.get("model_tag") is not None else [])]


def _parse(parser: Any, arguments: Sequence[str], into: Namespace | None = None) -> Any:
    """Parse; argparse prints what is wrong and exits.

    Raises:
        ValueError: with what it printed behind its usage.
    """
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return parser.parse_args(list(arguments), into)
    except SystemExit as error:
        words = printed.getvalue().rpartition("error: ")[2]
        raise ValueError(words or f"vLLM would print something and exit {error.code}") from error


def _share_out_cores(config: Any) -> None:
    """Let vLLM share out the cores among its workers, which it does itself only after it has started.

    Raises:
        AssertionError: VLLM_CPU_OMP_THREADS_BIND does not fit the number of workers.
    """
    with contextlib.suppress(ModuleNotFoundError):  # a vLLM that does it elsewhere
        importlib.import_module("vllm.utils.ompmultiprocessing").OMPProcessManager(config)


def _told(error: Exception, flags: Sequence[str]) -> dict[str, Any]:
    """Return an exception of vLLM as plain values; pydantic's with its fields."""
    words, fields = str(error.args[0] if isinstance(error, KeyError) and error.args else error), []
    if "ValidationError" in type(error).__name__ and callable(getattr(error, "errors", None)):
        details = error.errors()  # type: ignore[attr-defined]  # asked for in the line above
        fields = [str(part) for detail in details for part in detail["loc"]]
        places = [".".join(map(str, detail["loc"])) for detail in details]
        said = [detail["msg"].removeprefix("Value error, ") for detail in details]
        words = "; ".join(
            f"{place}: {what}" if place else what for place, what in zip(places, said, strict=True)
        )
    given = [word.partition("=")[0] for word in words.split() if word.startswith("--")]
    strange = given if words.startswith("unrecognized arguments") else []
    similar = {flag: difflib.get_close_matches(flag, flags, 1) for flag in strange}
    return {
        "error": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "words": words[:LONGEST],
        "fields": fields,
        "module": getattr(error, "name", None) if isinstance(error, ImportError) else None,
        "similar": {flag: found[0] for flag, found in similar.items() if found},
    }


def main(channel: int, extra: int, arguments: Sequence[str]) -> None:
    """Examine, and write each stage and the end as a line of JSON to the file descriptor `channel`."""
    gc.disable()  # importing only makes objects: 1.4 of 6.3 s
    os.set_inheritable(channel, False)  # what vLLM starts must not keep it open

    def send(event: dict[str, Any]) -> None:
        os.write(channel, json.dumps(event).encode() + b"\n")

    send({"end": examine(arguments, lambda words: send({"stage": words}), extra)})
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # torch's way out takes 1.6 s, and what vLLM wrote is removed with its directory


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
