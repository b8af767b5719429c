"""How results are shown and kept: formats, columns, textfile metrics, verdicts, history."""
