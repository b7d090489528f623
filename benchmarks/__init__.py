"""Benchmarks of the client: `python -m benchmarks.bench_client`, results in docs/benchmarks.md."""
