"""Memory: jobs, trials, curves, journals, tags and leases in SQLite or PostgreSQL.

What lives here: the tables and their migrations, one codec between values and JSON, `SqlStore` (the one that
writes) and `SqlReads` (what everybody else looks at). It must not know what any of it means: no state is
decided here, no file is read but the database, and only `core` is imported.
"""
