"""The support package of the book: small pure functions that read like its formulas.

Chapters import its modules by name (``from alignbook import information, tilting``); the floors they
stand on, and why imports only go down, are drawn in the README.
"""

__version__ = "0.1.0"
