"""The conformance matrix: its cases, their judges, and known limits of vLLM."""
