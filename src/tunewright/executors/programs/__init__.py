"""Training programs: a process of their own for each, forked from a server, or a container."""
