"""The jobs that a worker can run, one module each."""
