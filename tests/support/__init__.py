"""What tests and benchmarks share: servers, visitors, cameras, made files, stand-ins."""
