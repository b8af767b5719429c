"""A model's directory, whole and broken in each way; safetensors files written by hand."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from python_checks.checks.model_files import judge
from python_checks.result import State

EOS = [200002, 199999, 200012]


def shard(path: Path, tensors: dict[str, int]) -> Path:
    """Write a safetensors file with tensors of so many bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, size in tensors.items():
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [end, end + size]}
        end += size
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"\1" * end)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Give a whole model of two shards."""
    (tmp_path / "config.json").write_text('{"model_type": "gpt_oss"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": EOS}))
    shard(tmp_path / "model-00001-of-00002.safetensors", {"a": 100, "b": 50})
    shard(tmp_path / "model-00002-of-00002.safetensors", {"c": 7})
    weights = {"a": 1, "b": 1, "c": 2}
    index = {name: f"model-0000{number}-of-00002.safetensors" for name, number in weights.items()}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return tmp_path


def test_a_whole_model(probe, model: Path) -> None:
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


def test_a_truncated_shard_is_named_with_its_bytes(model: Path) -> None:
    path = model / "model-00001-of-00002.safetensors"
    whole = path.stat().st_size
    os.truncate(path, whole - 10)
    reason = judge(model).reason
    assert reason == f"{path.name} is truncated: {whole - 10} bytes, its header says {whole}"
    os.truncate(path, 20)
    assert f"{path.name} is cut in its header: 20 bytes" in judge(model).reason
    os.truncate(path, 3)
    assert f"{path.name} is cut in its header: 3 bytes" in judge(model).reason


def test_a_shard_with_bytes_to_spare_is_named(model: Path) -> None:
    with (model / "model-00002-of-00002.safetensors").open("ab") as file:
        file.write(b"xx")
    assert "model-00002-of-00002.safetensors is too long" in judge(model).reason


@pytest.mark.parametrize("header", [b"{nope", b"[]", b'{"a": {}}', b'{"a": {"data_offsets": [4, 8]}}', b"\xff\xfe"])
def test_a_header_that_makes_no_sense_is_named(model: Path, header: bytes) -> None:
    path = model / "model-00002-of-00002.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"12345678")
    result = judge(model)
    assert result.state is State.CRITICAL and path.name in result.reason and "header" in result.reason


def test_a_missing_shard_is_named(model: Path) -> None:
    (model / "model-00002-of-00002.safetensors").unlink()
    wanted = "model-00002-of-00002.safetensors is missing, though model.safetensors.index.json names it"
    assert judge(model).reason == wanted


def test_a_missing_shard_is_seen_without_an_index(model: Path) -> None:
    (model / "model.safetensors.index.json").unlink()
    assert judge(model).state is State.OK
    (model / "model-00001-of-00002.safetensors").unlink()
    assert judge(model).reason == "1 shards of 2 are there, and no index"


def test_a_tensor_that_only_the_index_knows_is_named(model: Path) -> None:
    shard(model / "model-00002-of-00002.safetensors", {"d": 7})
    assert judge(model).reason == "model-00002-of-00002.safetensors lacks 1 tensors of the index, e.g. c"


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


@pytest.mark.parametrize("content", ['{"eos_token_id": [200002, 199999]}', '{"eos_token_id": 200002}', "{", None])
def test_missing_stop_ids_of_gpt_oss_are_a_warning(probe, model: Path, content: str | None) -> None:
    path = model / "generation_config.json"
    path.unlink() if content is None else path.write_text(content)
    done = probe("model-files", "--directory", str(model))
    assert done.returncode == 1
    assert "generation_config.json" in done.stdout and "200012" in done.stdout
    (model / "config.json").write_text('{"model_type": "llama"}')
    assert judge(model).state is State.OK


def test_a_wrong_path_is_named(probe, tmp_path: Path) -> None:
    done = probe("model-files", "--directory", str(tmp_path / "none"))
    assert done.returncode == 2 and f"{tmp_path / 'none'} is no directory" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="root makes another user of itself")
def test_the_user_who_cannot_read_is_named(model: Path) -> None:
    (model / "model-00001-of-00002.safetensors").chmod(0o600)
    model.parent.chmod(0o755)
    pid = os.fork()
    if pid == 0:  # as nobody; the exit code carries the verdict
        from argparse import Namespace

        from python_checks.checks.model_files import run
        from python_checks.result import CheckError

        os.setuid(65534)
        try:
            run(Namespace(directory=model))
        except CheckError as error:
            os._exit(7 if "user nobody cannot read" in error.fault.reason else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
