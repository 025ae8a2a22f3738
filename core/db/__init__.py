"""The database: engine, clock, session and tables."""
