"""The message and stub classes of protos/echo.proto, generated at first use into a cache outside the repository."""

import hashlib
import importlib
import os
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

_PROTOS = Path(__file__).resolve().parents[3] / "protos"


def _generated():
    """The directory with echo_pb2.py and echo_pb2_grpc.py, named by what it is made from."""
    source = (_PROTOS / "echo.proto").read_bytes()
    key = hashlib.sha256(source + sys.version.encode() + protoc.__file__.encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"ekiden-peers-{os.getuid()}" / key
    if cache.is_dir():
        return cache
    cache.parent.mkdir(mode=0o700, exist_ok=True)
    # Peers start side by side: each generates into a place of its own, the first rename wins.
    with tempfile.TemporaryDirectory(dir=cache.parent) as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        arguments = ["protoc", f"-I{_PROTOS}", f"--python_out={out}", f"--grpc_python_out={out}", "echo.proto"]
        if protoc.main(arguments) != 0:
            raise SystemExit(f"{_PROTOS}/echo.proto does not compile")
        try:
            out.rename(cache)
        except OSError:
            if not cache.is_dir():
                raise
    return cache


sys.path.insert(0, str(_generated()))
echo_pb2 = importlib.import_module("echo_pb2")
echo_pb2_grpc = importlib.import_module("echo_pb2_grpc")
EchoRequest = echo_pb2.EchoRequest
EchoResponse = echo_pb2.EchoResponse

# Messages and metadata of any size: the tests are about the proxy's limits, not the library's.
UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 1024 * 1024),
    ("grpc.absolute_max_metadata_size", 1024 * 1024),
]
