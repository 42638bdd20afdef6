"""finetui without a screen: recipes, data, runs, the store and the worker; nothing here may import `tui` or textual."""
