"""Print every benchmark's table."""

from benchmarks import tilt_to_kl

tilt_to_kl.main()
