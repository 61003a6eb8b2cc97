"""Names by their parts: what `NameContains` of a rare text is answered from."""
