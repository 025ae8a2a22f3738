"""The metric history of jobs: written in chunks, simplified, kept in less detail with age."""
