"""What other trackers recorded, read into one shape: each module reads one tracker's files and nothing else.

Why: a person who comes with a year of W&B or TensorBoard runs should see them on the first day. Nothing is written,
no foreign library is imported, and no file is trusted: a damaged one gives what came before the damage, or a sentence.
"""
