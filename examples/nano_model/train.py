"""Trains the nano model's weights anew, after a change of the recipe. For its maintainers; takes some minutes.

    python examples/nano_model/train.py

Writes weights.safetensors beside this file: the trained parameters in bfloat16 and the token ids that they stand
for, with the id of the recipe. build.py makes a checkpoint of it in seconds, and the same one on every machine.
"""

import torch
from recipe import WEIGHTS, recipe_hash, training_sources
from safetensors.torch import save_file
from training import train


def main() -> None:
    """Trains and writes."""
    network, ids = train()
    tensors = {name: value.to(torch.bfloat16).contiguous() for name, value in network.state_dict().items()}
    recipe = recipe_hash(training_sources())
    save_file({**tensors, "ids": torch.tensor(ids, dtype=torch.int32)}, WEIGHTS, metadata={"recipe": recipe})


if __name__ == "__main__":
    main()
