"""The loop: carries facts in and effects out.

What lives here: reading metrics out of log bytes, the one writer, and the loop over jobs. It knows the heart
and its ports; it must not know which store, executor or strategy stands behind them.
"""
