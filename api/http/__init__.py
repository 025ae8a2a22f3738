"""The rules of HTTP that all routes share: headers, errors, strict bodies, the OpenAPI document."""
