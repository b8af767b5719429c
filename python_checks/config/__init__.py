"""vLLM's own parser and configuration builder, and its refusals explained."""
