"""What a gRPC-aware proxy does under abuse: raw frames at its port, one sentence per behaviour.

    python3 traps.py --port 15001 --grpc-path /echo.Echo/Unary --pid $(pgrep -x ekiden)

Behind the proxy any gRPC server will do that answers the path; with upstream.py there, traps that need a slow or large
answer run too, and what reached the task is counted. With --pid the proxy's memory is watched. While an attack runs, an
honest client calls on a connection of its own: it must lose nothing. Exit status: 0, 1 when a trap failed, 2 when the
proxy does not answer.
"""

from __future__ import annotations

import argparse
import sys
import time

import trap_refusals  # noqa: F401  (the trap files register themselves, in this order)
import trap_headers  # noqa: F401
import trap_resets  # noqa: F401
import trap_floods  # noqa: F401
import trap_validation  # noqa: F401
from trap_suite import ALL, Proxy, TrapFailure, TrapSkipped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    parser.add_argument("--grpc-path", default="/echo.Echo/Unary", help="any unary method behind the proxy")
    parser.add_argument("--pid", type=int, help="the proxy's process, to watch its memory")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a name or its part before `/`")
    parser.add_argument("--skip", action="append", default=[], metavar="NAME")
    parser.add_argument("--slow", action="store_true", help="also the traps that wait for a minute's timeout")
    parser.add_argument("--list", action="store_true", help="print names and sentences and exit")
    options = parser.parse_args()

    def named(name: str, patterns: list[str]) -> bool:
        return any(name == pattern or name.startswith(pattern + "/") for pattern in patterns)

    chosen = [trap for trap in ALL
              if (not options.only or named(trap.name, options.only)) and not named(trap.name, options.skip)
              and (options.slow or not trap.slow)]
    if not chosen:
        parser.error("no trap has such a name; see --list")
    if options.list:
        print("\n".join(f"{trap.name}: {trap.sentence}" for trap in chosen))
        return 0
    if options.port is None:
        parser.error("--port is needed")

    proxy = Proxy(options.host, options.port, options.grpc_path, options.pid)
    if not proxy.ready():
        print(f"{options.grpc_path} is not answered through {options.host}:{options.port}", file=sys.stderr)
        return 2
    passed = failed = skipped = 0
    for trap in chosen:
        started = time.monotonic()
        try:
            detail = trap.run(proxy) or ""
            verdict = "ok  "
            passed += 1
        except TrapSkipped as reason:
            detail, verdict = str(reason), "skip"
            skipped += 1
        except TrapFailure as failure:
            detail, verdict = str(failure), "FAIL"
            failed += 1
        except OSError as error:
            detail, verdict = f"the proxy could not be reached: {error}", "FAIL"
            failed += 1
        seconds = time.monotonic() - started
        remark = f" [{detail}]" if detail else ""
        print(f"{verdict}  {trap.name}: {trap.sentence}{remark} ({seconds:.1f} s)", flush=True)
    if skipped:
        print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
