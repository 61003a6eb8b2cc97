"""Tests of the HTTP layer: protocols, routing, gateway."""
