"""Reconciliation after an outage: what differs between the replicas, and what was overwritten.

- `values`: items and keys as DynamoDB compares them, and as JSON;
- `spill`: sorts more than fits into memory;
- `reading`: what the replicas and their streams hold;
- `judgement`: pure: what became of one key, from its values and the history of each Region;
- `acknowledged`: what a drill's history says must be there;
- `comparison`: all keys of all tables, into a plan;
- `plan`: the file that a person reviews;
- `replay`: carries out what a person has left in it.
"""
