"""A run's life outside the worker: its folder, its line files, the queue, its processes and its checkpoints.

This room must not train, draw or speak SQL; it reads the store through `core.store` and starts processes only in
`launch`.
"""
