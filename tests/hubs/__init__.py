"""Hubs and their contents."""
