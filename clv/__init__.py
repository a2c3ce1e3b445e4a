"""The pure core: events, per-customer state, time, features, segments and the pipeline over a batch.

Nothing here does I/O; the standard library, msgspec (shapes) and numpy (feature matrix) are all it imports.
"""
