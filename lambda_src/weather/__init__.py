"""The weather domain: pure model, error family, the DynamoDB repository, and HTTP in and out."""
