"""Repairs to the theme's markup that a reader with a screen reader or a keyboard needs."""

from sphinx.application import Sphinx


def setup(app: Sphinx) -> None:
    """Connect the repairs."""
    # Jupyter Book sets it even where its extension is not loaded, and Sphinx warns of a value nobody knows.
    app.add_config_value("comments_config", {}, "html")
