"""Probes of a served model: `python -m python_checks CHECK [options]`; each acquires, judges and reports."""

__version__ = "0.1.0"
