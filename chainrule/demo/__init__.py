"""The demonstration: digits, from an empty machine to predictions, through the real stack."""
