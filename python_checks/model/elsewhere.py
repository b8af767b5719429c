"""Where a model is when it is not in the directory that was named, and what other formats of it look like."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from python_checks.core.result import Fault, shorten
from python_checks.core.say import say
from python_checks.model.unreadable import DOWNLOAD

WEIGHTS = ("*.safetensors", "*.bin")
OTHER = ("original", "metal")  # gpt-oss for OpenAI's own code, and for Apple's
MANY = 200  # entries of a directory that are looked at
MOST = 3  # places that are named
TOP = say(
    'download the files at the top of its repository: hf download NAME --exclude "original/*" "metal/*"'
)
GGUF = say("vLLM takes the model's safetensors: copy or download these; GGUF is llama.cpp's format")


def elsewhere(directory: Path) -> Fault | None:
    """Return the fault of a directory that is not the model's own: a cache of the model hub, one above it, one of another format.

    Raises:
        OSError: it cannot be listed.
    """
    if (directory.parent / "snapshots").is_dir() and directory.name in ("blobs", "refs"):
        return elsewhere(directory.parent)
    if (directory / "config.json").is_symlink() or (directory / "config.json").exists():
        return _of_another_code(directory)
    if any(any(directory.glob(pattern)) for pattern in WEIGHTS):
        return _of_metal(directory)
    snapshots = directory / "snapshots"
    if snapshots.is_dir():
        found = _preferred(directory, list(_models(snapshots)))
        if not found:
            return Fault(
                say(
                    "{directory} is a cache of the model hub, and holds no whole snapshot",
                    directory=directory,
                ),
                DOWNLOAD,
            )
        return Fault(
            say("{directory} is a cache of the model hub", directory=directory),
            say("the model lies in {named}: name that", named=_named(found)),
        )
    found = _preferred(directory.parent, list(_models(directory)))
    for child in _children(directory):
        found += _preferred(child, list(_models(child / "snapshots")))
    if found:
        return Fault(
            say("{directory} holds no model itself", directory=directory),
            say("the model lies in {named}: name that", named=_named(found)),
        )
    return None


def without_weights(directory: Path) -> Fault | None:
    """Return the fault of a directory whose only weights are of another format."""
    if files := sorted(directory.glob("*.gguf")):
        return Fault(say("no weights but GGUF: {name}", name=shorten(files[0].name)), GGUF)
    for name in OTHER:
        if any(any((directory / name).glob(pattern)) for pattern in WEIGHTS):
            return Fault(say("no weights but those in {name}/, which are not for vLLM", name=name), TOP)
    return None


def _of_another_code(directory: Path) -> Fault | None:
    """Fault the directory original/ of gpt-oss: its configuration is another program's."""
    config, path = None, directory / "config.json"
    with suppress(OSError, ValueError, RecursionError):
        config = json.loads(path.read_bytes()) if path.is_file() else None
    if not isinstance(config, dict) or "model_type" in config or "experts_per_token" not in config:
        return None
    return Fault(
        say("{directory} holds gpt-oss for OpenAI's own code, not for vLLM", directory=directory),
        _above(directory),
    )


def _of_metal(directory: Path) -> Fault | None:
    alone = directory.name in OTHER and not (directory / "tokenizer.json").exists()
    return (
        Fault(
            say("{directory} holds gpt-oss for another program, not for vLLM", directory=directory),
            _above(directory),
        )
        if alone
        else None
    )


def _above(directory: Path) -> str:
    above = directory.parent
    return (
        say("the model lies in {above}: name that", above=above) if (above / "config.json").exists() else TOP
    )


def _preferred(cache: Path, found: list[Path]) -> list[Path]:
    """Return the snapshot that refs/main of a cache names, if it is among those found; else all."""
    ref = cache / "refs" / "main"
    with suppress(OSError):
        main = ref.read_text(encoding="ascii", errors="replace").strip() if ref.is_file() else ""
        found = [path for path in found if path.name == main] or found
    return found


def _models(directory: Path) -> Iterator[Path]:
    """Yield the directories below one that hold a model."""
    yield from (child for child in _children(directory) if child.name not in OTHER and _has_config(child))


def _has_config(directory: Path) -> bool:
    with suppress(OSError):
        return (directory / "config.json").is_symlink() or (directory / "config.json").is_file()
    return False


def _children(directory: Path) -> list[Path]:
    """Return the directories in one, some of very many; none where it cannot be listed."""
    with suppress(OSError):
        return sorted(path for path in islice(directory.iterdir(), MANY) if path.is_dir())
    return []


def _named(paths: list[Path]) -> str:
    return ", ".join(map(str, paths[:MOST])) + (", …" if len(paths) > MOST else "")
