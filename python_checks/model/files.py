"""The model's directory is complete (the guide's section 2.2) and its weights are whole, by their headers."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, Result, State, conclude
from python_checks.core.say import count, say
from python_checks.host import processes
from python_checks.model import elsewhere as model_places
from python_checks.model import json_files, safetensors, shards, unreadable
from python_checks.model.unreadable import COPY, DOWNLOAD, RESOLVE

LARGE = "tokenizer.json"
JSON_FILES = ("config.json", LARGE, "tokenizer_config.json")
INDEX, BIN_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"
NO_WEIGHTS = say("no weights: neither *.safetensors nor *.bin")
CALL_TOKEN = 200012  # <|call|>: without it as an eos id gpt-oss talks on behind a tool call


def look(directory: Path, whole: bool = True) -> Result:
    """Judge a directory; without `whole` the tokenizer, 10 to 30 MB, by its two ends only."""
    try:
        os.listdir(directory)
        return judge(directory, whole)
    except (FileNotFoundError, NotADirectoryError) as error:
        remedy = say("correct the path of the model, or copy the model there")
        raise CheckError(Fault(say("{filename} is no directory", filename=error.filename), remedy)) from error
    except PermissionError as error:
        raise CheckError(
            Fault(
                say(
                    "user {user} cannot read {filename}",
                    user=processes.user_name(os.geteuid()),
                    filename=error.filename,
                ),
                say("give that user read access: chmod -R a+rX on the directory, and +x on those above it"),
            )
        ) from error
    except OSError as error:
        remedy = say(
            "the disk or the share that it lies on fails: see dmesg; then copy the model to another one"
        )
        raise CheckError(
            Fault(
                say(
                    "{filename} cannot be read: {strerror}", filename=error.filename, strerror=error.strerror
                ),
                remedy,
            )
        ) from error


def judge(directory: Path, whole: bool = True) -> Result:
    """Judge the files of a directory that can be read."""
    evidence = {"bytes": 0, "shards": 0, "directory": str(directory)}
    if elsewhere := model_places.elsewhere(directory):
        return conclude("model-files", [elsewhere], "", evidence)
    faults: list[Fault] = []
    unread = unreadable.judge([directory / INDEX, directory / BIN_INDEX], faults)
    weights, files = _files(directory, unread, faults)
    small = [directory / name for name in JSON_FILES]
    unread |= unreadable.judge([*small, *files], faults)
    read = {name: json_files.load if whole or name != LARGE else json_files.ends for name in JSON_FILES}
    parsed = {path.name: read[path.name](path, faults) for path in small if path not in unread}
    given = parsed.get("config.json")
    config = given if isinstance(given, dict) else {}
    tensors = _tensors([file for file in files if file not in unread], weights, faults)
    words = ""
    if not weights and directory / INDEX not in unread and shards.numbered(files):
        faults += shards.by_names(files, str(config.get("model_type")))
        faults += shards.by_layers(tensors, config) if not faults else []
        words = say("; the index is missing")
    if config.get("model_type") == shards.GPT_OSS:
        faults += _judge_stop_ids(directory)
    if unreadable.unfinished(directory):
        faults = [
            replace(fault, remedy=DOWNLOAD) if fault.remedy in (COPY, RESOLVE) else fault for fault in faults
        ]
    size = sum(path.stat().st_size for path in files if path.is_file())
    number = count(len(files), "{number} weight file", "{number} weight files")
    words = say("{files}, {size:.2f} GiB, complete{index}", files=number, size=size / 2**30, index=words)
    return conclude("model-files", faults, words, evidence | {"bytes": size, "shards": len(files)})


def _files(directory: Path, unread: set[Path], faults: list[Fault]) -> tuple[dict[str, str], list[Path]]:
    """Return tensor -> file of the index, empty without one, and the weight files that vLLM would load; note what is missing."""
    for index, pattern in ((INDEX, "*.safetensors"), (BIN_INDEX, "*.bin")):
        weights = {} if directory / index in unread else _index(directory, index, faults)
        files = sorted({directory / file for file in weights.values()} or directory.glob(pattern))
        if files or faults:
            return weights, files
    faults.append(model_places.without_weights(directory) or Fault(NO_WEIGHTS, COPY))
    return {}, []


def _index(directory: Path, name: str, faults: list[Fault]) -> dict[str, str]:
    """Return tensor -> file of an index, empty when there is none; note every file that is missing."""
    if not (directory / name).exists():
        return {}
    index = json_files.load(directory / name, faults)
    weights = index.get("weight_map") if isinstance(index, dict) else None
    named = (
        set(weights.values()) if isinstance(weights, dict) and all(map(_is_name, weights.values())) else set()
    )
    if not named or not isinstance(weights, dict):
        faults.append(Fault(say("{name} holds no weight_map", name=name), COPY))
        return {}
    missing = sorted(file for file in named if not os.path.lexists(directory / file))
    faults += [
        Fault(say("{file} is missing, though {name} names it", file=file, name=name), COPY)
        for file in missing
    ]
    return weights


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value) and "/" not in value and "\0" not in value


def _tensors(files: Sequence[Path], weights: dict[str, str], faults: list[Fault]) -> set[str]:
    """Return the tensors of safetensors files; note the files that are broken, and those that lack what the index says."""
    found: set[str] = set()
    for file in [file for file in files if file.suffix == ".safetensors"]:
        try:
            held = safetensors.tensors(file)
        except FileNotFoundError:
            continue  # noted with the index
        except safetensors.BadShardError as error:
            faults.append(Fault(str(error), COPY))
            continue
        except OSError as error:
            if error.errno not in regular_file.OTHER:
                raise
            faults.append(Fault(say("{name} is no regular file, or too large", name=file.name), COPY))
            continue
        found |= held
        lost = sorted({tensor for tensor, name in weights.items() if name == file.name} - held)
        if lost:
            faults.append(
                Fault(
                    count(
                        len(lost),
                        "{file} lacks {number} tensor of the index: {tensor}",
                        "{file} lacks {number} tensors of the index, e.g. {tensor}",
                        file=file.name,
                        tensor=lost[0],
                    ),
                    COPY,
                )
            )
    return found


def _judge_stop_ids(directory: Path) -> list[Fault]:
    """Warn when generation_config.json would not stop gpt-oss at the end of a tool call."""
    problems: list[Fault] = []
    path = directory / "generation_config.json"
    config = None if unreadable.judge([path], problems) else json_files.load(path, problems)
    ids = config.get("eos_token_id") if isinstance(config, dict) else None
    if CALL_TOKEN in (ids if isinstance(ids, list) else [ids]):
        return []
    reason = (
        problems[0].reason
        if problems
        else say(
            "generation_config.json has eos_token_id {ids} without {call_token}",
            ids=ids,
            call_token=CALL_TOKEN,
        )
    )
    remedy = say(
        "set eos_token_id to [200002, 199999, {call_token}] there: tool calls may not end otherwise",
        call_token=CALL_TOKEN,
    )
    return [Fault(reason, remedy, State.WARNING)]
