"""The `GlobalTable` construct: one DynamoDB table, written and read in every Region."""

from constructs_lib.dynamodb.global_table import (
    READ_ACTIONS,
    WRITE_ACTIONS,
    GlobalSecondaryIndex,
    GlobalTable,
    Key,
)

__all__ = ["READ_ACTIONS", "WRITE_ACTIONS", "GlobalSecondaryIndex", "GlobalTable", "Key"]
