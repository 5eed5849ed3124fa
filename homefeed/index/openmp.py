"""FAISS, imported so that its OpenMP threads sleep while they wait.

OpenMP reads the policy once, when it is loaded. The default is to spin, and where a container's CPU
limit or a neighbour leaves fewer cores than threads, building an index then takes 50 times as long.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import faiss  # noqa: E402

__all__ = ["faiss"]
