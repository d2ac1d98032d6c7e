"""The `MultiRegionKey` construct: one KMS key with a replica in every Region."""

from constructs_lib.kms.multi_region_key import MultiRegionKey

__all__ = ["MultiRegionKey"]
