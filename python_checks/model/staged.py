"""A model that is there: whether it is what its manifest names, and its removal."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault
from python_checks.core.say import joined, say
from python_checks.model import manifest, room
from python_checks.model.fetching import Progress
from python_checks.model.manifest import MARK, Sums
from python_checks.model.staging import OTHER_NAME, Staging

SHOWN = 5  # files that a message names


def there(directory: Path) -> bool:
    """Tell whether the directory holds anything."""
    return directory.is_symlink() or (
        directory.exists() and (not directory.is_dir() or any(directory.iterdir()))
    )


def faults(directory: Path, sums: Sums, full: bool) -> list[Fault]:
    """Return what of a model is not as its manifest says; without `full`, files with the size and time of then are not read again."""
    known = {} if full else _marks(directory)
    total = sum(path.stat().st_size for name in sums if (path := directory / name).is_file())
    progress = Progress(say("comparing with the manifest"), total)
    wrong = []
    for name, wanted in sums.items():
        if why := _wrong(directory / name, wanted, known.get(name), progress):
            wrong.append(say("{name} {why}", name=name, why=why))
    if not wrong:
        return []
    more = [say("and {number} more", number=len(wrong) - SHOWN)] if wrong[SHOWN:] else []
    words = say(
        "{directory} is there and not what the manifest names: {words}",
        directory=directory,
        words=joined("; ", [*wrong[:SHOWN], *more]),
    )
    return [Fault(words, OTHER_NAME)]


def remove(directory: Path, used: Callable[[Path], str]) -> bool:
    """Remove a model that was staged, and what an unfinished run left; tell whether there was any. `used` names who serves it.

    Raises:
        CheckError: it was not staged, or is served.
    """
    place, leaving = Staging(directory), directory.with_name(f".{directory.name}.removed")
    if there(directory):
        if directory.is_symlink() or not _marks(directory):
            words = say(
                "{directory} was not staged by ansible/model.yml, so it is not ours to remove",
                directory=directory,
            )
            raise CheckError(Fault(words, say("remove it by hand, if that is meant")))
        if who := used(directory):
            words = say("{directory} is the model of {who}", directory=directory, who=who)
            raise CheckError(
                Fault(words, say("deploy with another vllm_model, or remove the service, before"))
            )
        room.refuse_others(directory)
        os.rename(directory, leaving)
    found = [path for path in (leaving, place.beside) if path.exists()]
    if place.beside.exists():
        with place.alone():
            shutil.rmtree(place.beside)
    if leaving.exists():
        room.refuse_others(leaving)
        shutil.rmtree(leaving)
    return bool(found)


def _wrong(path: Path, wanted: str, mark: object, progress: Progress) -> str:
    """Return what is wrong with a file, empty when nothing is."""
    try:
        with regular_file.opened(path) as file:
            facts = os.fstat(file.fileno())
            if mark == [facts.st_size, facts.st_mtime_ns, wanted]:
                progress.skip(facts.st_size)
                return ""
            same = manifest.digest(file, progress.add) == wanted
    except FileNotFoundError:
        return say("is missing")
    except OSError as error:
        return say("cannot be read: {error}", error=error.strerror)
    return "" if same else say("has another content")


def _marks(directory: Path) -> dict[str, object]:
    """Return what was kept when the model was staged, empty for one that was not."""
    try:
        found = json.loads(regular_file.content(directory / MARK, follow=False))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
