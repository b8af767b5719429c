"""The model's directory is complete (the guide's section 2.2) and its weights are whole, by their headers."""

import argparse
import os
import re
from pathlib import Path

from python_checks import json_files, proc, regular, safetensors
from python_checks.json_files import COPY
from python_checks.result import CheckError, Fault, Result, State, conclude

NEEDS: tuple[str, ...] = ()

LARGE = "tokenizer.json"
JSON_FILES = ("config.json", LARGE, "tokenizer_config.json")
CALL_TOKEN = 200012  # <|call|>: without it as an eos id gpt-oss talks on behind a tool call


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
    return look(options.directory)


def look(directory: Path, whole: bool = True) -> Result:
    """Judge a directory; without `whole` the tokenizer, 10 to 30 MB, by its two ends only."""
    try:
        os.listdir(directory)
        return judge(directory, whole)
    except (FileNotFoundError, NotADirectoryError) as error:
        remedy = "correct the path of the model, or copy the model there"
        raise CheckError(Fault(f"{error.filename} is no directory", remedy)) from error
    except PermissionError as error:
        raise CheckError(
            Fault(
                f"user {proc.user_name(os.geteuid())} cannot read {error.filename}",
                "give that user read access: chmod -R a+rX on the directory, and +x on those above it",
            )
        ) from error


def judge(directory: Path, whole: bool = True) -> Result:
    """Judge the files of a directory that can be read."""
    faults: list[Fault] = []
    read = {name: json_files.load if whole or name != LARGE else json_files.ends for name in JSON_FILES}
    parsed = {name: read[name](directory / name, faults) for name in JSON_FILES}
    shards = _safetensors(directory, faults)
    if not shards and not faults:
        shards = _bins(directory, faults)
    config = parsed["config.json"]
    if isinstance(config, dict) and config.get("model_type") == "gpt_oss":
        faults += _judge_stop_ids(directory)
    size = sum(path.stat().st_size for path in shards if path.exists())
    words = f"{len(shards)} weight file{'s' if len(shards) != 1 else ''}, {size / 2**30:.2f} GiB, complete"
    return conclude(
        "model-files", faults, words, {"bytes": size, "shards": len(shards), "directory": str(directory)}
    )


def _index(directory: Path, name: str, faults: list[Fault]) -> dict[str, str]:
    """Return tensor -> file of an index, empty when there is none; note every file that is missing."""
    if not (directory / name).exists():
        return {}
    index = json_files.load(directory / name, faults)
    weights = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(file, str) for file in weights.values()):
        faults.append(Fault(f"{name} holds no weight_map", COPY))
        return {}
    if outside := sorted(file for file in set(weights.values()) if Path(file).name != file):
        faults.append(Fault(f"{name} names {outside[0]}, which is no file of the directory", COPY))
        return {}
    missing = sorted(file for file in set(weights.values()) if not (directory / file).exists())
    faults += [Fault(f"{file} is missing, though {name} names it", COPY) for file in missing]
    return weights


def _safetensors(directory: Path, faults: list[Fault]) -> list[Path]:
    """Return the safetensors files that vLLM would load; note the broken ones."""
    weights = _index(directory, "model.safetensors.index.json", faults)
    shards = sorted({directory / file for file in weights.values()} or directory.glob("*.safetensors"))
    for shard in [] if weights else shards:
        numbers = re.search(r"-(\d+)-of-(\d+)$", shard.stem)
        if numbers and len(shards) != int(numbers[2]):
            faults.append(Fault(f"{len(shards)} shards of {int(numbers[2])} are there, and no index", COPY))
            break
    for shard in shards:
        try:
            held = safetensors.tensors(shard)
        except FileNotFoundError:
            continue  # noted with the index
        except safetensors.BadShardError as error:
            faults.append(Fault(str(error), COPY))
            continue
        except OSError as error:
            if error.errno not in regular.OTHER:
                raise
            faults.append(Fault(f"{shard.name} {error.strerror}", COPY))
            continue
        lost = sorted({tensor for tensor, file in weights.items() if file == shard.name} - held)
        if lost:
            faults.append(Fault(f"{shard.name} lacks {len(lost)} tensors of the index, e.g. {lost[0]}", COPY))
    return shards


def _bins(directory: Path, faults: list[Fault]) -> list[Path]:
    """Return the *.bin weight files of a model without safetensors; their inside has no header to check."""
    weights = _index(directory, "pytorch_model.bin.index.json", faults)
    files = sorted({directory / file for file in weights.values()} or directory.glob("*.bin"))
    if not files:
        faults.append(Fault("no weights: neither *.safetensors nor *.bin", COPY))
    return files


def _judge_stop_ids(directory: Path) -> list[Fault]:
    """Warn when generation_config.json would not stop gpt-oss at the end of a tool call."""
    problems: list[Fault] = []
    config = json_files.load(directory / "generation_config.json", problems)
    ids = config.get("eos_token_id") if isinstance(config, dict) else None
    if CALL_TOKEN in (ids if isinstance(ids, list) else [ids]):
        return []
    reason = (
        problems[0].reason
        if problems
        else f"generation_config.json has eos_token_id {ids} without {CALL_TOKEN}"
    )
    remedy = f"set eos_token_id to [200002, 199999, {CALL_TOKEN}] there: tool calls may not end otherwise"
    return [Fault(reason, remedy, State.WARNING)]
