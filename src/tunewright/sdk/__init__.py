"""The Python face: estimators, tuners, their analytics and what they show while they run.

What lives here: requests built as exact AMT shapes, the watching of a job, and its telling in a terminal, a
notebook or a log. It talks to a botocore SageMaker client, and for what AMT has no answer for to a `Session`;
it must not know stores, executors or strategies.
"""
