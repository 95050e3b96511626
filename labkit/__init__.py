"""labkit: what the lessons import. Each module answers one question; its docstring says which."""

__version__ = "0.1.0"
