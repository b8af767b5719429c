"""Writes a gpt-oss checkpoint: configuration, weights over the full vocabulary, tokenizer."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from shape import SHAPE, Shape
from tokenizer import write_tokenizer
from torch import Tensor

SHARPNESS = 2.0  # the head's factor: at the default temperature 1 the model is as sure as it would be at 1/2
END_IDS = [200002, 199999, 200012]  # <|return|>, <|endoftext|>, <|call|>


def write_checkpoint(directory: Path, trained: dict[str, Tensor], ids: list[int]) -> None:
    """Writes everything that vLLM needs to serve the network.

    Args:
        directory: an empty directory.
        trained: the trained parameters by their names in the network.
        ids: token ids of the classes 1, 2, ... of the network.
    """
    _write_json(directory / "config.json", configuration(SHAPE))
    generation = {"do_sample": True, "eos_token_id": END_IDS, "pad_token_id": 199999, "bos_token_id": 199998}
    _write_json(directory / "generation_config.json", generation)
    _write_weights(directory, spread(trained, ids))
    write_tokenizer(directory)


def configuration(shape: Shape) -> dict[str, Any]:
    """The content of config.json."""
    return {
        "architectures": ["GptOssForCausalLM"],
        "attention_bias": True,
        "attention_dropout": 0.0,
        "dtype": "bfloat16",
        "eos_token_id": 200002,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "initial_context_length": shape.rope["original_max_position_embeddings"],
        "intermediate_size": shape.intermediate,
        "layer_types": [
            "full_attention" if index % 2 else "sliding_attention" for index in range(shape.layers)
        ],
        "max_position_embeddings": shape.positions,
        "model_type": "gpt_oss",
        "num_attention_heads": shape.heads,
        "num_experts_per_tok": shape.experts_per_token,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.kv_heads,
        "num_local_experts": shape.experts,
        "pad_token_id": 199999,
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": shape.rope,
        "rope_scaling": {key: value for key, value in shape.rope.items() if key != "rope_theta"},
        "rope_theta": shape.rope["rope_theta"],
        "sliding_window": shape.window,
        "swiglu_limit": shape.swiglu_limit,
        "tie_word_embeddings": False,
        "transformers_version": "5.0.0",
        "vocab_size": shape.vocabulary,
    }


def spread(trained: dict[str, Tensor], ids: list[int]) -> dict[str, Tensor]:
    """The weights by their names in a checkpoint; class 0 becomes every token id not in `ids`."""
    weights = {f"model.{name}": value for name, value in trained.items()}
    classes = weights.pop("model.embed_tokens.weight")
    rows = torch.zeros(SHAPE.vocabulary, dtype=torch.long)
    rows[torch.tensor(ids)] = torch.arange(1, len(ids) + 1)
    weights["model.embed_tokens.weight"] = classes[rows]
    weights["lm_head.weight"] = classes[rows] * SHARPNESS
    return {name: value.to(torch.bfloat16).contiguous() for name, value in weights.items()}


def _write_weights(directory: Path, weights: dict[str, Tensor]) -> None:
    """Three shards (embedding, layers, head) and their index, as in a large checkpoint."""
    shards = {"model.embed_tokens.weight": 1, "lm_head.weight": 3}
    names: dict[str, str] = {
        name: f"model-{shards.get(name, 2):05d}-of-00003.safetensors" for name in weights
    }
    for file in sorted(set(names.values())):
        part = {name: value for name, value in weights.items() if names[name] == file}
        save_file(part, directory / file, metadata={"format": "pt"})
        (directory / file).chmod(0o644)  # safetensors makes them private; the server runs as another user
    total = sum(math.prod(value.shape) * value.element_size() for value in weights.values())
    _write_json(
        directory / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": names}
    )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
