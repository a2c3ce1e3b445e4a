"""``clv chaos``: faults on a running deployment while work remains, and whether anything was lost, added or stuck."""
