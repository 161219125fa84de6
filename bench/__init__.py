"""The benchmarks: `python -m bench` measures a running server over HTTP beside pgbench, and writes `bench/results/`."""
