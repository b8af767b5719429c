"""A child that computes for ever."""

import time


def execute_model() -> None:
    """Make a step that has no end."""
    print("ready", flush=True)
    while True:
        time.sleep(0.01)


if __name__ == "__main__":
    execute_model()
