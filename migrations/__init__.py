"""Alembic migrations: the history of the schema and of its triggers."""
