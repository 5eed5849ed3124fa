"""One JSON object a line, for people's eyes and for log collectors."""

import logging
import sys

import msgspec

from homefeed.contracts import iso


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON; a dict given as `extra={"facts": ...}` becomes its own keys."""

    def format(self, record: logging.LogRecord) -> str:
        """A record as one line."""
        line = {
            "time": iso(int(record.created)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def set_up_logs() -> None:
    """Sends all logs to standard error; of other libraries only warnings and worse."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("serving").setLevel(logging.INFO)
