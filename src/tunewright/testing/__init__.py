"""Shipped with the product: a hostile simulated world, and conformance suites for Store, Executor and Strategy.

A third party's strategy or executor is tested by the same lines as our own. It knows the heart and the ports,
and for the world the loop; it must not know a particular store or executor.
"""
