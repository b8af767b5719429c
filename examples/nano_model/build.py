"""Builds a tiny real gpt-oss checkpoint that calls tools.

    python examples/nano_model/build.py --output DIR

Needs the packages of a vLLM environment (torch, safetensors, openai_harmony). Prints `built`, or `unchanged` when
DIR already holds the checkpoint of this recipe, and then one line of JSON. The few trained parameters come from
weights.safetensors (train.py made it); here they are spread over gpt-oss's whole vocabulary.
"""

import argparse
import json
import sys
from pathlib import Path

from recipe import WEIGHTS, fresh, is_built, recipe_hash, sources


def main() -> None:
    """Reads the arguments, builds when needed, reports."""
    parser = argparse.ArgumentParser(description="Build the nano gpt-oss model.")
    parser.add_argument("--output", type=Path, required=True, help="directory of the checkpoint")
    output = parser.parse_args().output.resolve()
    recipe = recipe_hash(sources())
    changed = not is_built(output, recipe)
    if changed:
        build(output, recipe)
    print("built" if changed else "unchanged")
    print(json.dumps({"changed": changed, "path": str(output), "recipe": recipe}))


def build(output: Path, recipe: str) -> None:
    """Loads the trained parameters and writes the checkpoint."""
    print("loading torch", file=sys.stderr, flush=True)
    from checkpoint import write_checkpoint  # here, so that an unchanged checkpoint costs no import of torch
    from safetensors.torch import load_file

    weights = load_file(WEIGHTS)
    ids = weights.pop("ids").tolist()
    with fresh(output, recipe) as directory:
        print("writing weights and tokenizer", file=sys.stderr, flush=True)
        write_checkpoint(directory, weights, ids)


if __name__ == "__main__":
    main()
