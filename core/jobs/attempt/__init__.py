"""What an attempt does to its job: claim, renew, write and end, fenced by its number."""
