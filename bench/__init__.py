"""Side-by-side measurements that anyone can run: `python -m bench`, or one file of it.

Each figure names its limit, if it has one. Nothing is written outside a temporary folder, unless `--json FILE` is asked
for; nothing here is imported by finetui itself.
"""
