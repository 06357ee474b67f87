"""The heart: values and pure functions.

What lives here: the space, the job's specification, trials, events, effects, `step` and `todo`, and the
Protocols that the outer rooms implement. Standard library only; no I/O, no clock, no numpy. It must not
know that processes, databases, AWS or terminals exist.
"""
