"""The files of a model: whole, readable, of the right format."""
