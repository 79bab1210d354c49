"""Speed and accuracy against the usual alternatives: `python -m benchmarks` prints every table.

Ratios of times are the headline, since absolute times belong to a machine; both sides run in one process, on the same
data, type and threads, taking turns, and accuracy comes before speed.
"""
