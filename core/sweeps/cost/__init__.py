"""What a sweep would take, estimated before anything starts."""
