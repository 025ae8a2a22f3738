"""What the api returns: read schemas, and how rows become them."""
