"""The proof: experiments as data, what runs them, and the bar that quality must not fall below.

`make results` runs them all, which takes hours; see `benchmarks.run`. Nothing here is installed.
"""
