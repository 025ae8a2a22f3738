"""Alembic migrations: the history of the schema, and the rules it keeps by itself."""
