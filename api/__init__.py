"""Speaks HTTP; owns nothing."""
