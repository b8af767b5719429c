"""Builds a tiny real gpt-oss checkpoint that calls tools.

    python examples/nano_model/build.py --output DIR [--threads N]

Needs the packages of a vLLM environment (torch, safetensors, openai_harmony, yaml). Prints `built`, or
`unchanged` when DIR already holds the checkpoint of this recipe, and then one line of JSON. Progress goes to
stderr.
"""

import argparse
import json
import os
from pathlib import Path

from recipe import fresh, is_built, recipe_hash, sources


def main() -> None:
    """Reads the arguments, builds when needed, reports."""
    parser = argparse.ArgumentParser(description="Build the nano gpt-oss model.")
    parser.add_argument("--output", type=Path, required=True, help="directory of the checkpoint")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="CPU threads to train with"
    )
    arguments = parser.parse_args()
    output = arguments.output.resolve()
    recipe = recipe_hash(sources())
    changed = not is_built(output, recipe)
    if changed:
        build(output, recipe, arguments.threads)
    print("built" if changed else "unchanged")
    print(json.dumps({"changed": changed, "path": str(output), "recipe": recipe}))


def build(output: Path, recipe: str, threads: int) -> None:
    """Trains the network and writes the checkpoint."""
    # Waiting threads must not spin: beside other work the build would take ten times as long.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    import torch  # here, so that an unchanged checkpoint costs no import of it
    from checkpoint import write_checkpoint
    from training import train

    torch.set_num_threads(threads)
    with fresh(output, recipe) as directory:
        network, ids = train()
        write_checkpoint(directory, network, ids)


if __name__ == "__main__":
    main()
