"""What the sync and the aio client share: the facts that a call must show, and the data that is sent."""

import grpc

from messages import EchoRequest, echo_pb2

SIZES = [0, 1, 1024, 64 * 1024, 1024 * 1024, 4 * 1024 * 1024]

# Texts that gRPC has to percent-encode in grpc-message, and some that look as if they were already.
STATUS_TEXTS = [
    "", "plain text", "ひどい 100% \n", "naïve ☃ 🏃", "%25 %41 %zz %", "line\r\nbreak\ttab", "x" * 1000]

# Every byte value, nothing, what looks like base64 itself, and one that a proxy might take for a list.
BINARY_VALUES = [bytes(range(256)), b"", b"AAAA====", b"a,b,c", b"\x00", b"\xff" * 4096]

# 65,521 is prime: no power of two that frames or buffers are cut at repeats itself in here.
_COUNTING = b"".join(index.to_bytes(2, "big") for index in range(65_521))

# Over several addresses in turn. By itself grpcio would make an :authority of all of them, commas and all.
ROUND_ROBIN = [("grpc.lb_policy_name", "round_robin"), ("grpc.default_authority", "mesh.local")]

ECHO = "/ekiden.echo.v1.Echo/"


class CheckFailed(Exception):
    """A call did not show what it must."""


def check(condition, message):
    if not condition:
        raise CheckFailed(message)


def same(actual, expected, what):
    if actual != expected:
        raise CheckFailed(f"{what}: expected {_short(expected)}, got {_short(actual)}")


def same_status(error, code, details, what):
    same(error.code(), code, f"{what}: code")
    same(error.details(), details, f"{what}: message")


def _short(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}… ({len(text)} characters)"


def payload(size, seed=0):
    """`size` bytes in which a swapped, lost or doubled piece shows."""
    start = seed % 65_521 * 2
    return (_COUNTING[start:] + _COUNTING * (size // len(_COUNTING) + 1))[:size]


def field(key, value):
    return echo_pb2.Metadata(key=key, value=value if isinstance(value, bytes) else value.encode())


def metadata_request():
    """The metadata to send and the request that wishes the same values back in headers and trailers."""
    sent = [("x-plain", "some text"), ("x-twice", "first"), ("x-twice", "second"), ("x-long", "v" * 24_000)]
    sent += [("x-spaced", "a  b"), ("x-symbols", "!#$%&'*+-.^_`|~:/?@[]{}\"\\;=<>()")]
    sent += [(f"x-bytes-{index}-bin", value) for index, value in enumerate(BINARY_VALUES)]
    request = EchoRequest(
        payload=b"m",
        initial_metadata=[field(f"i{key}", value) for key, value in sent],
        trailing_metadata=[field(f"t{key}", value) for key, value in sent])
    return sent, request


def check_metadata(sent, response, initial, trailing):
    """`response` says what the task received, `initial` and `trailing` are what came back."""
    if response is not None:
        arrived = [(m.key, m.value) for m in response.metadata if m.key.startswith("x-")]
        wanted = [(key, value if isinstance(value, bytes) else value.encode()) for key, value in sent]
        same(sorted(arrived), sorted(wanted), "metadata at the task")
        same([v for k, v in arrived if k == "x-twice"], [b"first", b"second"], "order of a repeated field")
    for prefix, fields in (("i", initial), ("t", trailing)):
        got = sorted((key, value) for key, value in fields if key.startswith(f"{prefix}x-"))
        same(got, sorted((f"{prefix}{key}", value) for key, value in sent), f"metadata that came back ({prefix})")


def status_requests():
    """(request, code, text) for each status that a task can send, and for each text that is hard to carry."""
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    cases = [(code, f"status {code.name}") for code in codes]
    cases += [(grpc.StatusCode.FAILED_PRECONDITION, text) for text in STATUS_TEXTS]
    for code, text in cases:
        yield EchoRequest(payload=b"s", status_code=code.value[0], status_message=text), code, text


def check_deadline(error, elapsed, timeout):
    same(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED, "code after the deadline")
    check(timeout * 0.9 <= elapsed <= timeout + 1.5, f"a deadline of {timeout} s ended after {elapsed:.3f} s")


def check_time_remaining(response, timeout):
    check(response.HasField("time_remaining_ms"), "the task saw no deadline")
    left = response.time_remaining_ms / 1000
    check(timeout - 1.5 <= left <= timeout, f"the task saw {left} s left of a deadline of {timeout} s")


class Tally:
    """Counts of the calls of a load, by task; failures with their status. Not thread-safe."""

    def __init__(self):
        self.calls = 0
        self.split = {}
        self.failures = []
        self.failed = 0

    def answered(self, name):
        self.calls += 1
        self.split[name] = self.split.get(name, 0) + 1

    def failure(self, error):
        self.failed_with(error.code(), error.details())

    def failed_with(self, code, details):
        self.calls += 1
        self.failed += 1
        if len(self.failures) < 20:
            self.failures.append(f"{code.name}: {details}")

    def facts(self):
        return {"calls": self.calls, "failed": self.failed, "failures": self.failures, "split": self.split}
