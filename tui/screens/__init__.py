"""The app's screens, each imported when it is first opened: the first frame must not pay for the others."""
