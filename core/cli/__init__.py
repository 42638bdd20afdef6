"""The commands: each parses its words, calls one function of a lower room, and prints what came back.

Nothing is decided here that the app would have to decide again: both call the same functions of `core.runs`,
`core.store` and `core.recipe`. This room must not import the worker, nor anything slow while a command is being found.
"""
