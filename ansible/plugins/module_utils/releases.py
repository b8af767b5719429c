"""The releases of a service on a host: a directory each, with its file and the marks of what became of it.

ROOT/ID/FILE      the unit or program
ROOT/ID/service.json  its row of the registry
ROOT/ID/.good     it was proven; the time is that of the last proof
ROOT/ID/.left     it was left for another one, and not proven since
ROOT/current      link to the activated one
ROOT/trial        the activated one waits for its proof
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import file_verdict, whole_file

GOOD, LEFT, TRIAL = ".good", ".left", "trial"
ROW, BEFORE_ROWS = "service.json", "probe.args"


def _lead(link: Path, target: Path | str) -> None:
    """Have a link lead to something else, at no time to nothing."""
    unfinished = link.with_name(f".{link.name}.new")
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(target)
    unfinished.replace(link)


class Releases:
    """The releases below a directory."""

    def __init__(self, root: Path, file: str, mode: int) -> None:
        """Each keeps ``file`` with ``mode``."""
        self.root, self.file, self.mode = root, file, mode

    @property
    def current(self) -> str:
        """Return the activated release, empty when there is none."""
        link = self.root / "current"
        return os.readlink(link) if link.is_symlink() else ""

    def good(self) -> list[str]:
        """Return the proven releases, the last proven first."""
        marks = sorted(self.root.glob(f"*/{GOOD}"), key=lambda mark: mark.stat().st_mtime_ns, reverse=True)
        return [mark.parent.name for mark in marks if not mark.parent.is_symlink()]

    def left(self) -> list[str]:
        """Return the proven releases that were left for another one."""
        return [release for release in self.good() if (self.root / release / LEFT).exists()]

    def trial(self) -> dict[str, Any]:
        """Return the trial of the current release, empty when it was proven since it was activated."""
        try:
            found = json.loads((self.root / TRIAL).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) and found.get("release") == self.current else {}

    def unproven(self) -> bool:
        """Tell whether the current release was not proven since it was activated."""
        return bool(self.current) and (bool(self.trial()) or self.current not in self.good())

    def served(self) -> str:
        """Return the proven release that serves, or that served before the trial of the current one."""
        before = self.trial().get("before", "") if self.trial() else self.current
        return before if before in self.good() else ""

    def candidates(self) -> list[str]:
        """Return the proven releases to go back to from the current one, the best first; none that was left."""
        order = [self.served(), *(release for release in self.good() if release not in self.left())]
        return [release for release in dict.fromkeys(order) if release not in ("", self.current)]

    def back(self, release: str) -> str:
        """Return what is to serve again if a release fails; empty when nothing else served before."""
        good = self.good()
        nothing_new = release == self.current and release in good
        # Those that were left are the last resort.
        order = [self.served(), *([] if nothing_new else [*self.candidates(), *good])]
        return next((each for each in order if each not in ("", release)), "")

    def text(self, release: str) -> str:
        """Return the file of a release, empty when there is none."""
        path = self.root / release / self.file
        return path.read_text(encoding="utf-8") if release and path.exists() else ""

    def keep(self, release: str, content: str, verify: list[str]) -> None:
        """Keep a release, or raise ValueError with what is wrong with its file."""
        unfinished = self.root / f".{release}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o755)
        whole_file.write(unfinished / self.file, content, self.mode)
        if verify and (why := file_verdict.faults(verify, [unfinished / self.file])):
            shutil.rmtree(unfinished)
            raise ValueError(why)
        unfinished.rename(self.root / release)

    def try_out(self, release: str) -> None:
        """Note that a release is on trial from now on, and what served before."""
        trial = {"release": release, "before": self.served(), "since": time.time()}
        whole_file.write(self.root / TRIAL, json.dumps(trial), 0o644)  # who watches it reads it

    def prove(self, release: str) -> None:
        """Note that a release is proven, now; the clock may have been set back since the last one was."""
        times = [mark.stat().st_mtime_ns for mark in self.root.glob(f"*/{GOOD}")]
        now = max([time.time_ns(), *(each + 1 for each in times)])
        mark = self.root / release / GOOD
        mark.touch()
        os.utime(mark, ns=(now, now))
        (self.root / release / LEFT).unlink(missing_ok=True)
        (self.root / TRIAL).unlink(missing_ok=True)

    def differs(self, release: str, install: Path) -> bool:
        """Tell whether the file of a release is not the one that is installed, or the release not the current one."""
        installed = install.read_text(encoding="utf-8") if install.exists() else None
        return installed != self.text(release) or self.current != release

    def activate(self, release: str, install: Path) -> None:
        """Install the file of a release and switch ``current`` to it."""
        whole_file.write(install, self.text(release), self.mode)
        _lead(self.root / "current", release)

    def registered(self, row: Path) -> bool:
        """Tell whether the registry has the row of the current release, whichever that is."""
        return row.is_symlink() and os.readlink(row) == str(self.root / "current" / ROW)

    def register(self, row: Path) -> None:
        """Have the registry follow what is activated: that and what is known of it change at once, also on the way back."""
        _lead(row, self.root / "current" / ROW)

    def rowless(self) -> list[str]:
        """Return the releases of an earlier version: they have no row, and a way back to one needs it."""
        return sorted(
            path.parent.name for path in self.root.glob(f"*/{BEFORE_ROWS}") if not path.parent.is_symlink()
        )

    def remove(self, release: str, install: Path) -> None:
        """Remove a release, and its installed file where it is the current one."""
        if self.current == release:
            install.unlink(missing_ok=True)
            (self.root / "current").unlink()
            (self.root / TRIAL).unlink(missing_ok=True)
        shutil.rmtree(self.root / release)

    def superfluous(self, keep: int, belongings: list[str]) -> list[Path]:
        """Return releases that were followed by ``keep`` proven ones, and what none of those that stay names."""
        stay = {self.current, *self.good()[:keep]}
        releases = [path for path in self.root.glob("*") if path.is_dir() and not path.is_symlink()]
        texts = [self.text(release) for release in stay]
        # Another service of the host may run from the same environment.
        others = self.root.parent.glob(f"*/*/*{Path(self.file).suffix}")
        texts += [path.read_text(encoding="utf-8") for path in others if self.root not in path.parents]
        return [path for path in releases if path.name not in stay] + [
            path
            for pattern in belongings
            for path in Path(pattern).parent.glob(Path(pattern).name)
            if path.is_dir() and not any(str(path) in text for text in texts)
        ]
