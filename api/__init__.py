"""The REST API. It holds no state of its own."""
