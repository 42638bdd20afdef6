"""The live braille chart: pure modules (curve, scale, bins, canvas, render, model) and one thin widget over them.

Only `widget` may import textual, so that everything drawn can be tested as text.
"""
