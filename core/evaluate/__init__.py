"""How good an answer is, as pure functions over strings; no model, no files, no torch."""
