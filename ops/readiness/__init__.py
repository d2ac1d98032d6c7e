"""Proof that a failover works: a signed record of every drill, and what they amount to."""
