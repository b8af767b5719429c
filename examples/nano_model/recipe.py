"""What the checkpoint is made of, and how to tell a finished one. Standard library only."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PHRASES = HERE / "phrases.yaml"
POLICIES = HERE.parent / "backend" / "src" / "data" / "policies.json"
WEIGHTS = HERE / "weights.safetensors"
RECORD = "recipe.txt"
BUILDING = (
    "build.py",
    "checkpoint.py",
    "tokenizer.py",
    "recipe.py",
    "train.py",
)  # these do not bear on training


def sources() -> list[Path]:
    """All files that decide what the checkpoint holds, in a fixed order."""
    return sorted([*HERE.glob("*.py"), PHRASES, POLICIES, WEIGHTS])


def training_sources() -> list[Path]:
    """The files that decide what the trained weights are."""
    return [path for path in sources() if path.name not in BUILDING and path != WEIGHTS]


def recipe_hash(files: list[Path]) -> str:
    """First 12 hex digits of the SHA-256 over names and contents of the files."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def is_built(output: Path, recipe: str) -> bool:
    """Whether a finished checkpoint of this recipe stands in the directory `output`."""
    record = output / RECORD
    return record.is_file() and record.read_text(encoding="ascii").strip() == recipe


@contextmanager
def fresh(output: Path, recipe: str) -> Iterator[Path]:
    """A directory to write the checkpoint into; it becomes `output` when all went well, and not otherwise.

    A killed build leaves only OUTPUT.partial, which the next one removes. A former checkpoint stays until the
    new one is complete.
    """
    partial = output.with_name(f"{output.name}.partial")
    former = output.with_name(f"{output.name}.former")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    (partial / RECORD).write_text(f"{recipe}\n", encoding="ascii")
    shutil.rmtree(former, ignore_errors=True)
    if output.exists():
        os.rename(output, former)
    os.rename(partial, output)
    shutil.rmtree(former, ignore_errors=True)
