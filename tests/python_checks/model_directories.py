"""Builds model directories, whole and broken on purpose, of a few KB each; some hold links, which is why none is kept."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.python_checks.gpu_support import GPT_OSS
from tests.python_checks.support import shard

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{:064x}\nsize {}\n"
CACHE = "models--openai--gpt-oss-120b"
SNAPSHOT = "8b193b0ef83bd41b40eb71fee8f1432315e02a3e"
NAMES = ("model-00000-of-00001.safetensors", "model-00001-of-00001.safetensors")


def index(path: Path) -> None:
    weights = {"a": NAMES[0], "b": NAMES[1]}
    text = json.dumps({"metadata": {"total_size": 16}, "weight_map": weights})
    (path / "model.safetensors.index.json").write_text(text)


def base(path: Path) -> Path:
    """Make a gpt-oss without weights."""
    path.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (path / name).write_text("{}")
    (path / "config.json").write_text(json.dumps(GPT_OSS))
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [200002, 199999, 200012]}))
    return path


def two(path: Path) -> Path:
    """Make a whole one of two files that are counted from 0."""
    base(path)
    for name, tensor in zip(NAMES, "ab", strict=True):
        shard(path / name, {tensor: 8})
    index(path)
    return path


def broken_link_single(path: Path) -> None:
    os.symlink("../../blobs/68a8dc1f8e2e", base(path) / "model.safetensors")


def numbered(path: Path, numbers: range, last: int, without: int | None = None) -> None:
    """Make files with these numbers, and no index."""
    base(path)
    for number in numbers:
        if number != without:
            shard(path / f"model-{number:05}-of-{last:05}.safetensors", {f"t{number}": 8})


def zero_based_whole(path: Path) -> None:
    numbered(path, range(15), 14)


def zero_based_missing(path: Path) -> None:
    numbered(path, range(15), 14, 7)


def lfs(path: Path) -> None:
    base(path)
    for number, name in enumerate(NAMES):
        (path / name).write_text(POINTER.format(number, 4792272488))
    index(path)


def hub_cache(path: Path) -> None:
    two(path / "blobs")
    (path / "refs").mkdir()
    (path / "refs" / "main").write_text(SNAPSHOT)
    snapshot = path / "snapshots" / SNAPSHOT
    snapshot.mkdir(parents=True)
    for file in (path / "blobs").iterdir():
        os.symlink(f"../../blobs/{file.name}", snapshot / file.name)


MAKERS: dict[str, Callable[[Path], None]] = {
    "broken_link_single": broken_link_single,
    "zero_based_missing": zero_based_missing,
    "zero_based_whole": zero_based_whole,
    "lfs": lfs,
    CACHE: hub_cache,
}
