"""Tells a busy server from a hung one, and what to do about it: look, rules, memory from run to run."""
