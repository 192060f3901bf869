"""Runs upstream_policies.json through a proxy: what each retry policy makes of a task that misbehaves.

    python3 upstream_policies.py --proxy 127.0.0.1:15001 --admin 127.0.0.1:15000 --policy hedging

Behind the proxy is `upstream.py --endpoints 2`. Each policy of the table is a route, and a cluster of its own, for the
authority of its name. A case is a script of faults, one for each attempt, and says by policy what the caller gets, how
often the upstream saw the call and what was counted. For every case the counters must explain the attempts, attempts
in a row must go to different endpoints, and the `grpc-timeout` that is passed on must never grow.

Exit status: 0, 1 when a case failed, 2 when the proxy does not answer.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import urllib.request
from pathlib import Path

import frames
from client import GRPCConnection
from upstream_check import PATH, Check, span

TABLE = Path(__file__).resolve().parent / "upstream_policies.json"

UNITS = {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}

# Attempts beyond the first that an upstream can see, by the counters that own up to them.
EXPLAINED = ["ekiden_retries_total", "ekiden_hedges_total", 'ekiden_replays_total{reason="refused"}']


def seconds(timeout: str) -> float | None:
    """What a `grpc-timeout` means; None for what is none."""
    match = re.fullmatch(r"(\d{1,8})([HMSmun])", timeout)
    return int(match[1]) * UNITS[match[2]] if match else None


class Counters:
    """The counters of one cluster, as differences to when this was made."""

    def __init__(self, admin: str, cluster: str) -> None:
        self.url, self.cluster = f"http://{admin}/metrics", cluster
        self.before = self.read()

    def read(self) -> dict[tuple[str, str], float]:
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            text = answer.read().decode()
        found = re.findall(r'^(\w+)\{([^}]*)\} (\S+)$', text, re.MULTILINE)
        return {(name, labels): float(value) for name, labels, value in found
                if f'cluster="{self.cluster}"' in labels}

    def growth(self) -> dict[tuple[str, str], float]:
        return {key: value - self.before.get(key, 0) for key, value in self.read().items()}


def total(growth: dict[tuple[str, str], float], series: str) -> float:
    """Over all series of `name` or `name{label="value"}`."""
    name, _, label = series.rstrip("}").partition("{")
    return sum(value for (other, labels), value in growth.items() if other == name and label in labels)


class PolicyCheck(Check):
    """One case under one policy."""

    def __init__(self, host: str, port: int, admin: str, policy: str, case: dict) -> None:
        super().__init__(host, port, case)
        self.policy = policy
        self.counters = Counters(admin, policy)
        self.growth: dict[tuple[str, str], float] | None = None

    def connect(self) -> GRPCConnection:
        connection = super().connect()
        connection.authority = self.policy
        return connection

    def await_recovery(self) -> None:
        # The calls that find out may be retried themselves.
        self.growth = self.counters.growth()
        super().await_recovery()

    def _ledger_problems(self) -> list[str]:
        answer = self.control(f"stats:{self.request_id}")
        if answer.grpc_status != 0:
            return [f"the upstream's counts could not be read: {answer}"]
        ledger = json.loads(bytes(answer.body)[5:])
        growth = self.growth or self.counters.growth()
        found = []
        for key in ("attempts", "executions"):
            low, high = span(self.case.get(key, [0, 1000]))
            if not low <= ledger[key] <= high:
                found.append(f"expected {self.case[key]} {key}, the upstream saw {ledger[key]}")
        calls = self.case.get("concurrent", 1)
        extra = sum(total(growth, series) for series in EXPLAINED)
        if ledger["attempts"] != calls + extra:
            found.append(f"{ledger['attempts']} attempts, and the counters own up to {calls} + {extra:.0f}")
        for series, wanted in self.case.get("counters", {}).items():
            low, high = span(wanted)
            if not low <= total(growth, series) <= high:
                found.append(f"expected {series} to grow by {wanted}, it grew by {total(growth, series):.0f}")
        if "upstream_resets" in self.case and ledger["resets"] != self.case["upstream_resets"]:
            seen = [frames.error_name(code) for code in ledger["resets"]]
            found.append(f"expected {self.case['upstream_resets']} as resets upstream, it saw {seen}")
        return found + (self.attempt_problems(ledger["seen"]) if calls == 1 else [])

    def attempt_problems(self, seen: list[dict]) -> list[str]:
        """What is wrong with the sequence of attempts."""
        found = []
        pairs = list(zip(seen, seen[1:]))
        if any(first["port"] == second["port"] for first, second in pairs):
            found.append(f"two attempts in a row on one endpoint: {[attempt['port'] for attempt in seen[:8]]}")
        pauses = [second["at"] - first["at"] for first, second in pairs]
        for pause, wanted in zip(pauses, self.case.get("pauses", [])):
            low, high = span(wanted)
            if not low <= pause <= high:
                found.append(f"expected a pause of {low} to {high} s, it was {pause:.3f} s")
        for key, field in (("previous", "previous"), ("timeouts", "timeout")):
            wanted = self.case.get(key)
            values = [attempt[field] for attempt in seen]
            if wanted is not None and values != wanted:
                found.append(f"expected {wanted} as {key}, the upstream saw {values}")
        return found + self.timeout_problems(seen, pauses)

    def timeout_problems(self, seen: list[dict], pauses: list[float]) -> list[str]:
        """A deadline is one for all attempts: the time that is left of it only shrinks."""
        sent = seconds(self.case.get("send", {}).get("timeout", ""))
        if sent is None:
            return []
        left = [seconds(attempt["timeout"]) for attempt in seen]
        if None in left:
            return [f"a grpc-timeout of {sent} s became {[attempt['timeout'] for attempt in seen]}"]
        found = [] if not left or left[0] <= sent else [f"a grpc-timeout of {sent} s grew to {left[0]} s"]
        for first, second, pause in zip(left, left[1:], pauses):
            # What an attempt takes to arrive is not the same for each; 30 ms are a busy machine's.
            if not second < first or abs(first - second - pause) > 0.03 + pause * 0.3:
                found.append(f"after {pause:.3f} s a grpc-timeout of {first} s became {second} s")
        return found


def cases(policy: str, only: list[str]) -> list[dict]:
    """Each case of the table that says something of the policy, as the check takes it."""
    found = []
    for case in json.loads(TABLE.read_text())["cases"]:
        for names, expectation in case["expect"].items():
            if policy in names.split() and (not only or case["name"] in only):
                found.append({**case, "fault": case["tries"], "outcome": [expectation], **expectation})
    return found


def ready(host: str, port: int, policy: str) -> bool:
    """Whether a good call succeeds within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with GRPCConnection(host, port, PATH) as connection:
                connection.authority = policy
                if connection.call([("x-fault", "ok")], timeout=2).grpc_status == 0:
                    return True
        except OSError:
            pass
        time.sleep(0.05)
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxy", required=True, metavar="HOST:PORT")
    parser.add_argument("--admin", required=True, metavar="HOST:PORT")
    parser.add_argument("--policy", required=True)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    options = parser.parse_args()

    chosen = cases(options.policy, options.only)
    if not chosen:
        parser.error("no case has such a policy and name")
    host, _, text = options.proxy.rpartition(":")
    port = int(text)
    if not ready(host, port, options.policy):
        print(f"no good answer through {host}:{port}", file=sys.stderr)
        return 2
    failed = 0
    for case in chosen:
        started = time.monotonic()
        try:
            problems = PolicyCheck(host, port, options.admin, options.policy, case).problems()
        except OSError as error:
            problems = [f"the proxy could not be reached: {error}"]
        took = time.monotonic() - started
        print(f"{'FAIL' if problems else 'ok  '}  {options.policy}, {case['name']}: {case['sentence']} ({took:.1f} s)"
              + "".join(f"; {problem}" for problem in problems), flush=True)
        failed += bool(problems)
    print(f"{len(chosen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
