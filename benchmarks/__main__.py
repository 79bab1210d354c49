"""Print every benchmark's table."""

from benchmarks import best_of_n, gradient_ascent, head_training, in_the_page, latency, records, tilt_to_kl, types

for benchmark in (tilt_to_kl, gradient_ascent, head_training, best_of_n, types, records, latency, in_the_page):
    benchmark.main()
