"""Hands: they run training jobs.

What lives here: a training job's directory, the container contract, slots of this host, and the executors that
start programs and functions and carry their phases, logs and ends back. It knows the heart and its ports; it
must not know tuning jobs, strategies, stores or the wire, nor how files are stored behind `Objects`.
"""
