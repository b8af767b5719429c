"""GPUs before and during service: inventory, health, holders, memory arithmetic."""
