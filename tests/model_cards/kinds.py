"""The kinds of `backends/model_cards`."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "ModelCard",
        request=lambda name, _: {"ModelCardName": name, "Content": "{}", "ModelCardStatus": "Draft"},
        update={"ModelCardStatus": "Approved"},
        found_by="ModelCardName",
    ),
)
