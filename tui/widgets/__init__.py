"""Parts of the screen that know how to draw and nothing about runs; must not read the store."""
