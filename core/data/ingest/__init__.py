"""From the bytes of an upload to the canonical file, with its schema."""
