"""Search: how resources are found by what their documents say.

`facets.py` writes the scalars of documents with them, `reindex.py` anew where a declaration has changed, and
`operations.py` answers over them. Lists use the same facets for what no column holds.
"""
