"""Print every benchmark's table."""

from benchmarks import gradient_ascent, head_training, in_the_page, latency, records, tilt_to_kl

for benchmark in (tilt_to_kl, gradient_ascent, head_training, records, latency, in_the_page):
    benchmark.main()
