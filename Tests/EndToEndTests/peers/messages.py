"""The message and stub classes of .proto files, generated at first use into a cache outside the repository."""

import hashlib
import importlib
import os
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc


def generated(proto):
    """The message module and the stub module of a .proto file."""
    key = hashlib.sha256(proto.read_bytes() + sys.version.encode() + protoc.__file__.encode()).hexdigest()[:16]
    cache = Path(tempfile.gettempdir()) / f"ekiden-peers-{os.getuid()}" / key
    if not cache.is_dir():
        _generate(proto, cache)
    sys.path.insert(0, str(cache))
    return importlib.import_module(f"{proto.stem}_pb2"), importlib.import_module(f"{proto.stem}_pb2_grpc")


def _generate(proto, cache):
    cache.parent.mkdir(mode=0o700, exist_ok=True)
    # Peers start side by side: each generates into a place of its own, the first rename wins.
    with tempfile.TemporaryDirectory(dir=cache.parent) as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        if protoc.main(["", f"-I{proto.parent}", f"--python_out={out}", f"--grpc_python_out={out}", proto.name]) != 0:
            raise SystemExit(f"{proto} does not compile")
        try:
            out.rename(cache)
        except OSError:
            if not cache.is_dir():
                raise


echo_pb2, echo_pb2_grpc = generated(Path(__file__).resolve().parents[3] / "protos" / "echo.proto")
EchoRequest = echo_pb2.EchoRequest
EchoResponse = echo_pb2.EchoResponse

# Messages and metadata of any size: the tests are about the proxy's limits, not the library's.
UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 1024 * 1024),
    ("grpc.absolute_max_metadata_size", 1024 * 1024),
]
