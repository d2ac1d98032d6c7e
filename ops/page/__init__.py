"""The live page of the local API: both Regions, and buttons to break and mend them."""
