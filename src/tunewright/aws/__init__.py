"""A face: the wire. AMT's requests and answers, by botocore's own service model.

What lives here: parsing and checking of requests, AWS's error codes and texts, the table of limits, the
translation between wire dictionaries and the heart's values, the operations, and botocore clients. It
knows the heart's ports and the recorder; it must not know which store, executor or search stands behind.
"""
