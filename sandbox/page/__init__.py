"""The live page of the sandbox: every Region, and buttons to inject faults and clear them."""
