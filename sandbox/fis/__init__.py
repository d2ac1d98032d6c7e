"""AWS Fault Injection Service: which templates are valid, and what becomes of an experiment.

It knows nothing of the emulator, of networks or of real time: `sandbox.emulator.fis` gives it the
requests, the clock, the alarms and what an action does.
"""
