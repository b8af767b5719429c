"""Images of test hosts: old ones go without being in the way of a new one, however long their removal takes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.systemd import image


def test_a_removal_that_fails_leaves_no_image_and_the_next_one_makes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, remover = tmp_path / "images", tmp_path / "rm"
    (images / "0123").mkdir(parents=True)
    remover.write_text("#!/bin/sh\nexit 1\n")
    remover.chmod(0o755)
    with monkeypatch.context() as broken:
        broken.setenv("PATH", str(tmp_path))
        with pytest.raises(subprocess.CalledProcessError):
            image.clear(images)
    assert not images.exists()
    (images / "4567").mkdir(parents=True)
    image.clear(images)
    assert list(tmp_path.iterdir()) == [remover]
    image.clear(images)  # nothing is there
