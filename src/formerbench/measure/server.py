"""A process that has imported torch and done nothing with it, and forks a child for each measurement.

A fork takes a tenth of a second, an import of torch two. After any parallel operation a fork would hang, so
the server itself must never compute. It talks JSON, a line a message: work on standard input, and on
standard output what the child tells, its process number first and its end last.
"""

import gc
import json
import os
import sys
import traceback

import torch._dynamo  # noqa: F401  (the first optimizer imports it: a second, once instead of each time)

from formerbench.lifeline import end_with_parent
from formerbench.measure.child import measure
from formerbench.measure.machine import peaks
from formerbench.measure.memory import is_lack_of_memory
from formerbench.measure.work import Work


def main() -> None:
    """Serve until standard input ends."""
    end_with_parent()
    gc.freeze()  # or the first collection in every child visits, and so copies, all that was imported
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run_child(request)
        _, status = os.waitpid(child, 0)
        _tell({"ended": os.waitstatus_to_exitcode(status)})
    os._exit(0)  # to take down what torch imported takes most of a second


def _run_child(request: dict) -> None:
    end_with_parent()
    _tell({"pid": os.getpid()})
    code = 0
    try:
        if "peaks" in request:
            _tell(peaks(**request["peaks"]))
        else:
            measure(Work(**request.pop("work")), tell=_tell, **request)
    except BaseException as error:
        traceback.print_exc()
        _tell({"error": f"{type(error).__name__}: {error}", "no_memory": is_lack_of_memory(error)})
        code = 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _tell(message: dict) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
