"""The REST API of one Region: API Gateway, functions, keys and domain names."""
