"""A model's directory, whole and broken in each way; safetensors files written by hand."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from python_checks.core.result import CheckError, State
from python_checks.model.files import judge, look
from tests.python_checks.support import Probe, shard


def test_a_whole_model(probe: Probe, model: Path) -> None:
    done = probe("model-files", "--directory", str(model), "--format", "json")
    result = json.loads(done.stdout)["results"][0]
    size = sum(path.stat().st_size for path in model.glob("*.safetensors"))
    assert (done.returncode, result["state"]) == (0, "ok")
    assert result["evidence"] == {"bytes": size, "shards": 2, "directory": str(model)}


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_each_small_file_is_needed_and_parsed(model: Path, name: str) -> None:
    (model / name).write_text("{")
    assert f"{name} is no valid JSON" in judge(model).reason
    (model / name).unlink()
    result = judge(model)
    assert (result.state, result.reason) == (State.CRITICAL, f"{name} is missing")


def test_a_missing_shard_is_named(model: Path) -> None:
    (model / "model-00002-of-00002.safetensors").unlink()
    wanted = "model-00002-of-00002.safetensors is missing, though model.safetensors.index.json names it"
    assert judge(model).reason == wanted


def test_a_missing_shard_is_seen_without_an_index(model: Path) -> None:
    (model / "model.safetensors.index.json").unlink()
    assert judge(model).state is State.OK
    (model / "model-00001-of-00002.safetensors").unlink()
    assert judge(model).reason == "1 shard of 2 is there, and no index"


def test_a_tensor_that_only_the_index_knows_is_named(model: Path) -> None:
    shard(model / "model-00002-of-00002.safetensors", {"d": 7})
    assert judge(model).reason == "model-00002-of-00002.safetensors lacks 1 tensor of the index: c"


def test_a_broken_index_is_named(model: Path) -> None:
    (model / "model.safetensors.index.json").write_text("[]")
    assert "model.safetensors.index.json holds no weight_map" in judge(model).reason


def test_one_file_and_bin_files_are_weights_too(model: Path) -> None:
    for path in model.glob("model*"):
        path.unlink()
    assert judge(model).reason == "no weights: neither *.safetensors nor *.bin"
    (model / "pytorch_model.bin").write_bytes(b"1234")
    assert judge(model).evidence["bytes"] == 4
    shard(model / "model.safetensors", {"a": 5})
    assert judge(model).evidence["shards"] == 1


@pytest.mark.parametrize(
    "content", ['{"eos_token_id": [200002, 199999]}', '{"eos_token_id": 200002}', "{", None]
)
def test_missing_stop_ids_of_gpt_oss_are_a_warning(probe: Probe, model: Path, content: str | None) -> None:
    path = model / "generation_config.json"
    path.unlink() if content is None else path.write_text(content)
    done = probe("model-files", "--directory", str(model))
    assert done.returncode == 1
    assert "generation_config.json" in done.stdout and "200012" in done.stdout
    (model / "config.json").write_text('{"model_type": "llama"}')
    assert judge(model).state is State.OK


def test_a_wrong_path_is_named(probe: Probe, tmp_path: Path) -> None:
    done = probe("model-files", "--directory", str(tmp_path / "none"))
    assert done.returncode == 2 and f"{tmp_path / 'none'} is no directory" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("closed", ["config.json", "model-00001-of-00002.safetensors", "."])
def test_the_user_who_cannot_read_is_named(model: Path, closed: str) -> None:
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        directory = Path(shutil.copytree(model, Path(open_to_all) / "model"))
        directory.chmod(0o755)
        (directory / closed).chmod(0o700)
        pid = os.fork()
        if pid == 0:  # as nobody; the exit code carries the verdict
            os.setuid(65534)
            wanted = f"cannot read {directory / closed}"
            try:
                look(directory)
            except CheckError as error:
                os._exit(7 if error.fault.reason == f"user nobody {wanted}" else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
