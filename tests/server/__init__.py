"""Tests of the door: protocols, routing, gateway."""
