"""finetui's screen: the entry point and the app; reads through one feed, acts through core, owns no state."""
