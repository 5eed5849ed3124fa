"""The FAISS sidecar: searches a release's index over a Unix socket."""
