"""What all benchmarks share: yardstick, stopwatch, peak memory, synthetic frames."""
