"""How fast a release is served, beside a bare TorchServe, FastAPI in one process, and FAISS.

`make bench-serving` runs all of it; see `benchmarks.serving.__main__`. docs/serving.md has what was
found.
"""
