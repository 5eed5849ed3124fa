"""A server with as much of KFP's REST API as `submit` and `schedule` use; it runs nothing.

It shows what is asked of KFP, in which order and with which body; not that KFP takes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.http_recorder import Asked, Recorder, record

API = "/apis/v2beta1"
NUM_STATES = 3


class KfpRecorder:
    """Its answers; recurring runs are remembered as KFP remembers them."""

    def __init__(self, end: str) -> None:
        self.schedules: dict[str, str] = {}
        self.refuses_schedules = False
        self.keeps_schedules = False
        self.outages = 0
        """What a gateway answers in its place once a run was looked at."""
        self._states = ["PENDING", "RUNNING", end]

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """What KFP would answer."""
        match asked.method, asked.path.removeprefix(API).split("/")[1:]:
            case "GET", ["healthz"] if self.outages and len(self._states) < NUM_STATES:
                self.outages -= 1
                return 502, "Bad Gateway"
            case "GET", ["healthz"]:
                return 200, {"multi_user": False}
            case "GET", ["experiments"]:
                return 200, {}
            case "POST", ["experiments"]:
                return 200, asked.body | {"experiment_id": "e1"}
            case "POST", ["runs"]:
                return 200, {"run_id": "r1"}
            case "GET", ["runs", "r1"]:
                # The last state stays.
                state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
                return 200, {"run_id": "r1", "state": state}
            case "GET", ["recurringruns"]:
                found = [
                    {"recurring_run_id": number, "display_name": name}
                    for number, name in self.schedules.items()
                ]
                return 200, {"recurringRuns": found}
            case "POST", ["recurringruns"] if self.refuses_schedules:
                return 400, {"message": "no such pipeline root"}
            case "POST", ["recurringruns"]:
                number = f"s{len(self.schedules) + 1}"
                self.schedules[number] = asked.body["display_name"]
                return 200, {"recurring_run_id": number}
            case "DELETE", ["recurringruns", _] if self.keeps_schedules:
                return 403, {"message": "user may not delete"}
            case "DELETE", ["recurringruns", number]:
                del self.schedules[number]
                return 200, {}
        return 404, {"message": f"no {asked.path}"}


@contextmanager
def record_kfp(end: str = "SUCCEEDED") -> Iterator[tuple[Recorder, KfpRecorder]]:
    """A server that is asked in KFP's place; its runs end in the state `end`."""
    kfp = KfpRecorder(end)
    with record(kfp.answer) as recorder:
        yield recorder, kfp
