"""The recipe's bookkeeping: when a checkpoint counts as built, and what a killed build leaves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NANO_MODEL = Path(__file__).parents[2] / "examples" / "nano_model"
sys.path.insert(0, str(NANO_MODEL))

import recipe  # noqa: E402  the example is a directory of scripts, not a package


def run_build(output: Path) -> subprocess.CompletedProcess[str]:
    """build.py without site-packages: whoever imports torch here fails."""
    command = [sys.executable, "-E", "-s", "-S", str(NANO_MODEL / "build.py"), "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_every_source_counts() -> None:
    """The hash covers each module, the phrases and the backend's policies."""
    names = {path.name for path in recipe.sources()}
    assert names == {path.name for path in NANO_MODEL.glob("*.py")} | {
        "phrases.yaml",
        "policies.json",
        "weights.safetensors",
    }


@pytest.mark.parametrize("change", ["content", "name", "boundary"])
def test_hash_depends_on_content_name_and_boundaries(tmp_path: Path, change: str) -> None:
    """Any of the three makes another recipe."""
    first, second, other = tmp_path / "a.py", tmp_path / "b.py", tmp_path / "c.py"
    first.write_text("one")
    second.write_text("two")
    before = recipe.recipe_hash([first, second])
    assert before == recipe.recipe_hash([first, second])
    assert len(before) == 12
    assert int(before, 16) >= 0
    if change == "content":
        second.write_text("too")
    elif change == "name":
        second = second.rename(other)
    else:
        first.write_text("onet")
        second.write_text("wo")
    assert recipe.recipe_hash([first, second]) != before


def test_finished_build_is_recognised(tmp_path: Path) -> None:
    """The record makes the difference, and only the record of this very recipe."""
    output = tmp_path / "model"
    assert not recipe.is_built(output, "0123456789ab")
    with recipe.fresh(output, "0123456789ab") as directory:
        (directory / "config.json").write_text("{}")
        assert not output.exists()
        assert not recipe.is_built(directory, "0123456789ab")
    assert recipe.is_built(output, "0123456789ab")
    assert not recipe.is_built(output, "ba9876543210")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_failed_build_leaves_the_former_one_and_the_next_heals(tmp_path: Path) -> None:
    """A build that dies half-way changes nothing; its remains do not get into the next one."""
    output = tmp_path / "model"
    with recipe.fresh(output, "aaaaaaaaaaaa") as directory:
        (directory / "weights").write_text("old")
    with pytest.raises(KeyboardInterrupt), recipe.fresh(output, "bbbbbbbbbbbb") as directory:
        (directory / "half").write_text("half")
        raise KeyboardInterrupt
    assert (output / "weights").read_text() == "old"
    assert recipe.is_built(output, "aaaaaaaaaaaa")
    with recipe.fresh(output, "bbbbbbbbbbbb") as directory:
        assert not list(directory.iterdir())
        (directory / "weights").write_text("new")
    assert (output / "weights").read_text() == "new"
    assert not (output / "half").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_build_says_unchanged_without_any_library(tmp_path: Path) -> None:
    """A hit needs nothing but the standard library, and its last line is the result."""
    output = tmp_path / "model"
    wanted = recipe.recipe_hash(recipe.sources())
    with recipe.fresh(output, wanted):
        pass
    done = run_build(output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "unchanged"
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "changed": False,
        "path": str(output),
        "recipe": wanted,
    }


def test_build_of_another_recipe_is_not_unchanged(tmp_path: Path) -> None:
    """With the record of another recipe the build starts (and fails here, for want of torch)."""
    output = tmp_path / "model"
    with recipe.fresh(output, "0123456789ab"):
        pass
    done = run_build(output)
    assert done.returncode != 0
    assert "torch" in done.stderr
    assert "unchanged" not in done.stdout


def test_weights_are_of_this_recipe() -> None:
    """A changed recipe asks for new weights: python examples/nano_model/train.py, in a vLLM environment."""
    with recipe.WEIGHTS.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    assert header["__metadata__"]["recipe"] == recipe.recipe_hash(recipe.training_sources())
