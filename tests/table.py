"""The table that the product needs, as arguments of `CreateTable`."""

TABLE = {
    "KeySchema": [
        {"AttributeName": name, "KeyType": kind} for name, kind in (("pk", "HASH"), ("sk", "RANGE"))
    ],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
