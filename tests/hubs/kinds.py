"""The kinds of `backends/hubs`; contents have no Create by which a life could begin."""

from __future__ import annotations

from tests.life.kind import Kind

KINDS = (
    Kind(
        "Hub",
        request=lambda name, _: {"HubName": name, "HubDescription": "d", "HubSearchKeywords": ["k"]},
        update={"HubDescription": "e", "HubSearchKeywords": ["l"]},
    ),
)
