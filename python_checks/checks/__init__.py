"""One file a check, each with `add_arguments(parser)`, `run(options) -> Result` and a pure judge.

NEEDS names the libraries that a check loads when it runs: most take longer to load than a check to run.
"""
