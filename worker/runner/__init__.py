"""The process that computes: how it is started, confined and spoken to."""
