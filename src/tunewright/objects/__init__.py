"""Files by name: `s3://bucket/key` kept below one local directory or in an S3, and `file://` names of this machine.

What lives here: implementers of `core.ports.Objects`. It knows URIs and files; it must not know training jobs,
executors or the wire. Nothing it is given leads outside the object directory.
"""
