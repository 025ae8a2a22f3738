"""HTTP rules that all routes share: headers, errors, strict bodies, the OpenAPI document."""
