"""Make a model beside its directory, from verified files, and give it its name only when all of it is there."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from python_checks.core import whole_file
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.model import fetching, files, manifest, room
from python_checks.model.fetching import Progress
from python_checks.model.manifest import MARK, Sums
from python_checks.model.sources import Source

PART = "part-"  # and the SHA-256 that it is to have
OTHER_NAME = say(
    "nothing was touched, for a vLLM may be running with it. Stage the new one into another directory and deploy with that as "
    "vllm_model, or remove this one first (-e model_state=absent)"
)


class Staging:
    """The directory of a model, and the one beside it in which it is made. Files get their names there when they are verified."""

    def __init__(self, directory: Path) -> None:
        """Look whether the place may be used.

        Raises:
            CheckError: it may not.
        """
        if not directory.is_absolute() or not directory.name or ".." in directory.parts:
            words = say("{directory} is no absolute path of a directory", directory=directory)
            raise CheckError(Fault(words, say("correct vllm_model")))
        self.directory = directory
        self.beside = directory.with_name(f".{directory.name}.staging")
        self.ready = self.beside / "model"
        for place in (directory.parent, self.beside):
            room.refuse_others(place)

    def stage(self, source: Source, sums: Sums, text: str) -> int:
        """Fetch what is missing, verify it, and give the model its name; return the bytes that were fetched.

        Args:
            source: Where it comes from.
            sums: What its manifest names; `text`: the manifest itself.

        Raises:
            CheckError: it is not whole; what was fetched stays for the next run.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with self.alone(), room.told():
            missing = self.expect(sums, text)
            asking = Progress(say("asking for sizes"), 0)
            sizes = {name: fetching.size(source, name, asking) for name in missing}
            total = sum(filter(None, sizes.values()))
            self._refuse_full(total)
            progress = Progress(say("fetching"), total)
            for name in sorted(
                missing, key=lambda name: (sizes[name] or 0, name)
            ):  # small ones tell of pointers soon
                if not (self.ready / name).exists():  # one of the same content may have come before
                    part = self.part(sums[name])
                    fetching.bring(source, name, sums[name], sizes[name], part, progress)
                    self._keep(part, [each for each in missing if sums[each] == sums[name]])
            self._finish(sums)
        return progress.fetched

    def plan(self, sums: Sums, text: str, sizes: dict[str, int]) -> dict[str, tuple[str, int]]:
        """Return where each file that is missing is to be appended to, and how many bytes are there, for one who sends them.

        Raises:
            CheckError: another run works here, or the disk is too small.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with self.alone(), room.told():
            missing = {
                sums[name]: name for name in self.expect(sums, text)
            }  # of two with the same content one
            self._refuse_full(sum(sizes[name] for name in missing.values()))
            found = {}
            for wanted, name in missing.items():
                part = self.part(wanted)
                part.touch(0o600)
                if part.stat().st_size > sizes[name]:
                    os.truncate(part, 0)
                found[name] = (str(part), part.stat().st_size)
        return found

    def part(self, wanted: str) -> Path:
        """Return where the file of a SHA-256 is fetched to."""
        return self.beside / f"{PART}{wanted}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other run work here meanwhile; the kernel frees what a killed one held.

        Raises:
            CheckError: another one does.
        """
        for place in (self.beside, self.ready):
            place.mkdir(exist_ok=True, mode=0o700)
        path = self.beside / "lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mine = os.path.samestat(
                    os.fstat(lock.fileno()), path.stat()
                )  # one that has ended removed it with the rest
            except (BlockingIOError, FileNotFoundError):
                mine = False
            if not mine:
                words = say(
                    "another run stages {directory} (process {pid})",
                    directory=self.directory,
                    pid=lock.read(20),
                )
                raise CheckError(Fault(words, say("wait for its end")))
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def expect(self, sums: Sums, text: str) -> list[str]:
        """Keep a manifest, remove what an earlier run fetched for another one, and return the files that are missing."""
        kept = self.ready / manifest.NAME
        before = manifest.parse(manifest.read(kept)) if kept.exists() else {}
        for path in [path for path in self.ready.rglob("*") if not path.is_dir() and path != kept]:
            name = str(path.relative_to(self.ready))
            if name not in sums or before.get(name) != sums[name]:
                path.unlink()
        for path in self.beside.glob(f"{PART}*"):
            if path.name.removeprefix(PART) not in sums.values():
                path.unlink()
        whole_file.write(kept, text)
        return [name for name in sums if not (self.ready / name).is_file()]

    def _refuse_full(self, size: int) -> None:
        there = sum(path.stat().st_size for path in self.beside.glob(f"{PART}*"))
        room.refuse_full(self.directory, self.beside, size - there)

    def _keep(self, part: Path, names: list[str]) -> None:
        """Give a verified part its names among what is ready."""
        part.chmod(0o644)
        for name in names:
            target = self.ready / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name != names[-1]:
                shutil.copyfile(part, target)
        part.replace(target)

    def _finish(self, sums: Sums) -> None:
        """Judge the whole model and give it its name."""
        result = files.look(self.ready)
        if result.state is State.CRITICAL:
            words = say("what the manifest names is no whole model: {why}", why=result.reason)
            raise CheckError(Fault(words, result.remedy))
        facts = {name: (self.ready / name).stat() for name in sums}
        marks = {name: [each.st_size, each.st_mtime_ns, sums[name]] for name, each in facts.items()}
        whole_file.write(self.ready / MARK, json.dumps(marks))
        for place in [self.ready, *(path for path in self.ready.rglob("*") if path.is_dir())]:
            place.chmod(0o755)
        try:
            os.rename(self.ready, self.directory)  # takes the place of an empty directory at most
        except OSError as error:
            words = say(
                "{directory} has come to hold something: {error}",
                directory=self.directory,
                error=error.strerror,
            )
            raise CheckError(Fault(words, OTHER_NAME)) from error
        shutil.rmtree(self.beside)
