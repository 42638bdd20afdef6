"""What a person wants to be trained, as data: read, checked, resolved, planned and compared without the ML stack.

A recipe holds no code and no secret; this room must not read a data row, a weight or the environment.
"""
