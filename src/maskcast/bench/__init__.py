"""The common parts of benchmarks: yardstick, stopwatch, peak memory, synthetic frames."""
