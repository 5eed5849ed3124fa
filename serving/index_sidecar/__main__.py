"""Serves a release's index: `python -m serving.index_sidecar --release FOLDER --socket PATH`.

    --release FOLDER             of the release, or a link to it: what it is pointed to later is
                                 loaded beside it and takes its place
    --metrics-port 9100          TCP port of /healthz, /readyz and /metrics; 0 takes a free one
    --metrics-host 127.0.0.1     their address
    --search-threads 1           searches at a time: the CPU limit
    --max-waiting 64             requests that may wait for a thread
    --deadline-seconds 1.0       a later request is refused
    --recall-share 0.01          share of approximate searches whose recall is measured; 0 for none

Stops cleanly on SIGTERM. Exits with 2 when the release or a socket cannot be used.
"""

import argparse
import os
import sys
from pathlib import Path


def main() -> int:
    """Parses the command line and serves; returns the exit code."""
    # One search uses one core, and the searches at a time are counted by the pool: threads inside
    # the libraries would only fight over the same cores. They read this when they are imported.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["OMP_WAIT_POLICY"] = "passive"
    from serving.index_sidecar.logs import set_up_logs
    from serving.index_sidecar.server import logger, serve
    from serving.index_sidecar.settings import Settings

    defaults = Settings()
    parser = argparse.ArgumentParser(
        "python -m serving.index_sidecar",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--release", type=Path, required=True)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--metrics-host", default="127.0.0.1")
    parser.add_argument("--metrics-port", type=int, default=9100)
    parser.add_argument("--search-threads", type=int, default=defaults.search_threads)
    parser.add_argument("--max-waiting", type=int, default=defaults.max_waiting)
    parser.add_argument("--deadline-seconds", type=float, default=defaults.deadline_seconds)
    parser.add_argument("--recall-share", type=float, default=defaults.recall_share)
    given = parser.parse_args()
    set_up_logs()
    try:
        settings = Settings(
            search_threads=given.search_threads,
            max_waiting=given.max_waiting,
            deadline_seconds=given.deadline_seconds,
            recall_share=given.recall_share,
        )
        serve(given.release, given.socket, given.metrics_host, given.metrics_port, settings)
    except (ValueError, OSError) as error:
        logger.error("cannot serve", extra={"facts": {"reason": str(error)}})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
