"""HTTP/2 conformance of a server, by the case list of the public suite (summerwind/h2spec 2.6.0), in own code.

    python3 conformance.py --host 127.0.0.1 --port 8080 --strict
    python3 conformance.py --port 8080 --only http2/5.1/8 --only hpack

147 cases with --strict (generic 44, http2 95, hpack 8). Two need a response with a body of 5 bytes or more at --path.
Exit status: 0 when nothing failed, 1 when something did, 2 when the server cannot be reached.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass

import generic  # noqa: F401  (the case files register themselves, in this order)
import http2_framing  # noqa: F401
import http2_streams  # noqa: F401
import http2_frame_types  # noqa: F401
import http2_settings  # noqa: F401
import http2_messages  # noqa: F401
import hpack_cases  # noqa: F401
import suite
from connection import Connection, HandshakeError, Target
from verdict import Failure, Skipped


@dataclass(frozen=True)
class Result:
    """Outcome of one case: `passed`, `failed` or `skipped`."""

    case: suite.Case
    outcome: str
    seconds: float
    expected: str = ""
    got: str = ""

    def line(self) -> str:
        if self.outcome == "passed":
            return f"ok    {self.case.id}  {self.case.sentence}"
        if self.outcome == "skipped":
            return f"skip  {self.case.id}  {self.case.sentence}: {self.got}"
        return f"FAIL  {self.case.id}  {self.case.sentence}\n      expected {self.expected}\n      got {self.got}"

    def json(self) -> str:
        return json.dumps({
            "id": self.case.id, "sentence": self.case.sentence, "outcome": self.outcome,
            "seconds": round(self.seconds, 3), "expected": self.expected, "got": self.got})


def run(case: suite.Case, target: Target) -> Result:
    started = time.monotonic()

    def result(outcome: str, expected: str = "", got: str = "") -> Result:
        return Result(case, outcome, time.monotonic() - started, expected, got)

    try:
        with Connection(target) as connection:
            case.run(connection)
    except Skipped as reason:
        return result("skipped", got=str(reason))
    except Failure as failure:
        return result("failed", " or ".join(failure.expected), failure.actual)
    except HandshakeError as error:
        return result("failed", "an HTTP/2 connection", str(error))
    except OSError as error:
        return result("failed", "a TCP connection", str(error))
    return result("passed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/", help="a path whose response has a body (default /)")
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds of silence a case waits (default 2)")
    parser.add_argument("--strict", action="store_true", help="also the cases that the RFC calls SHOULD")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="5.1, 5.1/8, http2/5.1/8, hpack")
    parser.add_argument("--json", action="store_true", help="one JSON object per case")
    parser.add_argument("--quiet", action="store_true", help="only the cases that did not pass")
    options = parser.parse_args()

    chosen = [case for case in suite.ALL
              if (options.strict or not case.strict)
              and (not options.only or any(case.selected_by(pattern) for pattern in options.only))]
    if not chosen:
        parser.error(f"no case matches {' '.join(options.only)}")
    target = Target(options.host, options.port, options.path, options.timeout)
    try:
        Connection(target).__exit__()
    except OSError as error:
        print(f"cannot connect to {target.host}:{target.port}: {error}", file=sys.stderr)
        return 2

    results: list[Result] = []
    for case in chosen:
        result = run(case, target)
        results.append(result)
        if options.json:
            print(result.json(), flush=True)
        elif result.outcome != "passed" or not options.quiet:
            print(result.line(), flush=True)
    counts = {outcome: sum(1 for result in results if result.outcome == outcome)
              for outcome in ("passed", "failed", "skipped")}
    if counts["skipped"]:
        print(f"{counts['skipped']} skipped")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
