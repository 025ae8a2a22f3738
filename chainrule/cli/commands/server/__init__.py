"""Commands that start, look after and describe a server and its machines."""
