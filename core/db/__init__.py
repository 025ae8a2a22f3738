"""The database: engine, sessions, clock and tables."""
