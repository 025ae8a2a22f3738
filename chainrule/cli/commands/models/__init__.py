"""Commands for models, and the jobs that evaluate them or predict with them."""
