"""The database: engine, clock and tables."""
