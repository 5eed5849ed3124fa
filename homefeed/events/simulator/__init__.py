"""A homefeed with a known truth: who likes what, when, and what they were shown.

`docs/simulator.md` has the equations that these modules follow.
"""
