"""The door: HTTP in, HTTP out. It knows no component by name."""
