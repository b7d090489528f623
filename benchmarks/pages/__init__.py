"""What `benchmarks.bench_site` is made of: pages of the whole site, and of programs that do the same, under load."""
