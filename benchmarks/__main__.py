"""Print every benchmark's table."""

from benchmarks import gradient_ascent, records, tilt_to_kl

for benchmark in (tilt_to_kl, gradient_ascent, records):
    benchmark.main()
