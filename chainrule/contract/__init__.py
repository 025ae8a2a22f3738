"""What the client and the server agree on. It imports nothing of either."""
