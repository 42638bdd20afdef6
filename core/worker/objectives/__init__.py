"""One module per objective; each builds the trainer that optimises it, and reads top to bottom."""
