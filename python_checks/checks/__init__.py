"""One file a check; each has `add_arguments(parser)`, `run(options) -> Result` and a pure judge."""
