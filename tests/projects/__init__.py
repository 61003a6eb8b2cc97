"""Projects and the switch of their templates."""
