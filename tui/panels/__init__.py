"""What a run's page says about one side of it: rows of the feed → titles and lines. Panels must not read the store."""
