"""Bytes to arrays: formats, stores, caches, splits."""
