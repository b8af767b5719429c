"""Files that are listed and cannot be read: links to nothing, pointers, directories, empty ones."""

import stat
from collections.abc import Iterable
from errno import ELOOP
from pathlib import Path

from python_checks.core.result import Fault, shorten
from python_checks.core.say import count, msgs, say

COPY = say("copy the model again and compare checksums")
RESOLVE = say(
    "copy it with its links resolved (rsync -aL, or cp -rL) from where it is whole: what they lead "
    "to was left behind"
)
PULL = say(
    "run git lfs pull where it was cloned (git lfs install before, where that is not known), then copy it"
)
REMOVE = say("remove it, and copy the file of that name")
DOWNLOAD = say("a download of it has not ended: run that again (hf download), it goes on where it stopped")
POINTERS = (
    b"version https://git-lfs.github.com/spec/",
    b"version https://hawser.github.com/spec/",
    b"# xet version ",
)
POINTER = 1024  # bytes; no pointer is larger
# By what is wrong: of one file and of several, and what to do.
KINDS = {
    "pointer": (
        msgs(
            "{name} is a pointer of Git LFS, not the file itself",
            "{number} files are pointers of Git LFS, not the files themselves, e.g. {name}",
        ),
        PULL,
    ),
    "link": (
        msgs(
            "{name} is a link to nothing ({target} is not there)",
            "{number} files are links to nothing, e.g. {name} ({target} is not there)",
        ),
        RESOLVE,
    ),
    "circle": (
        msgs(
            "{name} is a link that leads in a circle",
            "{number} files are links that lead in a circle, e.g. {name}",
        ),
        RESOLVE,
    ),
    "directory": (
        msgs(
            "{name} is a directory in the place of a file",
            "{number} files are directories in the place of files, e.g. {name}",
        ),
        REMOVE,
    ),
    "special": (
        msgs(
            "{name} is a socket, a pipe or a device",
            "{number} files are sockets, pipes or devices, e.g. {name}",
        ),
        REMOVE,
    ),
    "empty": (msgs("{name} is empty", "{number} files are empty, e.g. {name}"), COPY),
}


def judge(paths: Iterable[Path], faults: list[Fault]) -> set[Path]:
    """Return those of the paths that are listed and cannot be read, after noting each kind of them once.

    Raises:
        PermissionError: this user may not look.
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        if kind := _kind(path):
            found.setdefault(kind, []).append(path)
    for kind, bad in found.items():
        forms, remedy = KINDS[kind]
        target = shorten(str(bad[0].readlink()), 100) if kind == "link" else ""
        faults.append(Fault(count(len(bad), *forms, name=bad[0].name, target=target), remedy))
    return {path for bad in found.values() for path in bad}


def unfinished(directory: Path) -> bool:
    """Tell whether a download into a directory, or into the cache of the model hub that it belongs to, has not ended."""
    places = (directory, directory / ".cache" / "huggingface" / "download", directory.parent.parent / "blobs")
    return any(any(place.glob("*.incomplete")) for place in places if place.is_dir())


def _kind(path: Path) -> str:
    """Return what is wrong, a key of KINDS; empty for a file, and for nothing at all."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return "link" if path.is_symlink() else ""
    except OSError as error:
        if error.errno == ELOOP:
            return "circle"
        raise
    if stat.S_ISDIR(facts.st_mode):
        return "directory"
    if not stat.S_ISREG(facts.st_mode):
        return "special"
    if facts.st_size == 0:
        return "empty"
    if facts.st_size <= POINTER:
        with path.open("rb") as file:
            return "pointer" if file.read(POINTER).startswith(POINTERS) else ""
    return ""
