"""From a file of rows to the very token ids and labels that are trained; knows no recipe, no store and no torch."""
