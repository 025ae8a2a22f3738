"""Turns Celery messages into training; owns the process."""
