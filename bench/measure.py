"""Runs processes on a core of their own, loads a port with h2load, and reads what a process tree used."""

import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

READY_TIMEOUT = 15
LOAD_TIMEOUT = 120
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class BenchError(Exception):
    """Something that the reader of the terminal can act on."""


class Process:
    """A child on one core, in a session of its own; its output goes to a file that is shown when it dies early."""

    def __init__(self, name, command, core, directory):
        self.name = name
        self.log = os.path.join(directory, f"{name}.log")

        def prepare():
            os.sched_setaffinity(0, {core})
            # The kernel ends the child when the benchmark itself is killed.
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory,
                start_new_session=True, preexec_fn=prepare)

    def wait_until_listening(self, port):
        deadline = time.monotonic() + READY_TIMEOUT
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise BenchError(f"{self.name} ended with {self.child.returncode} at start:\n{self.last_words()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise BenchError(f"{self.name} does not listen on port {port} after {READY_TIMEOUT} s:\n{self.last_words()}")

    def last_words(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-15:])

    def stop(self):
        """Ends the whole session: nghttpx has a worker process of its own."""
        for attempt in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.child.pid, attempt)
            except ProcessLookupError:
                pass
            try:
                self.child.wait(timeout=2)
            except subprocess.TimeoutExpired:
                continue
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def pids(self):
        """This process and its descendants."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat") as stat:
                        parent = int(stat.read().rpartition(")")[2].split()[1])
                except (OSError, ValueError):
                    continue
                children.setdefault(parent, []).append(int(entry))
        found, todo = [], [self.child.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def cpu_nanoseconds(self):
        """On-CPU time of all threads, from the scheduler: nanoseconds where /proc/PID/stat has ticks of 10 ms."""
        total = 0
        for pid in self.pids():
            for thread in os.listdir(f"/proc/{pid}/task"):
                try:
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as schedstat:
                        total += int(schedstat.read().split()[0])
                except FileNotFoundError:
                    continue
        return total

    def resident_bytes(self):
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/statm") as statm:
                total += int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total


@dataclass(frozen=True)
class Load:
    """What one h2load run saw."""

    requests_per_second: float
    mean_latency_us: float
    errors: int


def load(port, path, shape, requests, body, core):
    """One h2load run: POSTs of the file `body` with the headers of a gRPC call."""
    command = [
        "h2load", "-n", str(requests), "-c", str(shape.connections), "-m", str(shape.streams), "-t", "1",
        "-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers",
        f"http://127.0.0.1:{port}{path}",
    ]
    try:
        run = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=LOAD_TIMEOUT, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    except subprocess.TimeoutExpired:
        raise BenchError(f"h2load was not done after {LOAD_TIMEOUT} s: {' '.join(command)}") from None
    return parse(run.stdout, requests, requests * shape.body_bytes)


def parse(report, requests, expected_bytes):
    """Reads h2load's report. An error is a request without a 2xx, or one whose response was not the backend's: a proxy's
    own gRPC failure is a 200 with no body, and only the byte count shows it."""
    rate = re.search(r"finished in \S+, ([\d.]+) req/s", report)
    good = re.search(r"status codes: (\d+) 2xx", report)
    data = re.search(r"\((\d+)\) data", report)
    latency = re.search(r"time for request:\s+\S+\s+\S+\s+(\S+)", report)
    if not (rate and good and data and latency):
        raise BenchError(f"h2load's report is not understood:\n{report}")
    bad = requests - int(good[1])
    per_response = expected_bytes // requests
    short = max(0, expected_bytes - int(data[1])) // per_response
    return Load(float(rate[1]), microseconds(latency[1]), max(bad, short))


def microseconds(text):
    """`1.23ms` → 1230."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
