"""Replication of global tables: which write arrives in which Region, when, and which one wins.

It knows nothing of the emulator, of networks or of real time: `sandbox.emulator.replication` gives
it the writes, the clock and the tables.
"""
