"""Traps with requests that a lax proxy would pass on: one row, one behaviour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import frames
from client import Fields, Response
from trap_suite import Proxy, expect, expect_served, trap

Verdict = tuple[str, Callable[[Response], bool]]

REFUSED: Verdict = ("RST_STREAM(PROTOCOL_ERROR)", lambda response: response.reset == frames.PROTOCOL_ERROR)
PASSES: Verdict = ("grpc-status 0", lambda response: response.grpc_status == 0)
# RFC 9113 section 8.5 lets a server refuse the method; as gRPC that is UNIMPLEMENTED.
NOT_ALLOWED: Verdict = ("405 or grpc-status 12",
                        lambda response: response.http_status == 405 or response.grpc_status == 12)
NOT_ALLOWED_OR_REFUSED: Verdict = ("405, grpc-status 12 or RST_STREAM(PROTOCOL_ERROR)",
                                   lambda response: NOT_ALLOWED[1](response) or REFUSED[1](response))
AUTHORITY = "the connection's own address"


@dataclass(frozen=True)
class Row:
    """A request that differs from a good one by `replace` and `extra`, and what it gets."""

    name: str
    sentence: str
    verdict: Verdict
    extra: Fields = field(default_factory=list)
    replace: dict[str, str | bytes | None] = field(default_factory=dict)


ROWS = [
    # --- what names the target
    Row("host-same", "a host equal to :authority passes", PASSES, [("host", AUTHORITY)]),
    Row("host-other", "a host other than :authority is refused", REFUSED, [("host", "other.local")]),
    Row("host-only", "a host in place of :authority passes", PASSES, [("host", "mesh.local")], {":authority": None}),
    Row("authority-userinfo", "an :authority with user information is refused", REFUSED,
        replace={":authority": "root@mesh.local"}),
    Row("path-fragment", "a :path with # is refused", REFUSED, replace={":path": "/echo.Echo/Unary#x"}),
    Row("path-backslash", "a :path with a backslash is refused", REFUSED, replace={":path": "/echo.Echo\\Unary"}),
    Row("path-control", "a :path with a control character is refused", REFUSED,
        replace={":path": b"/echo.Echo/\x01Unary"}),
    Row("path-delete", "a :path with DEL is refused", REFUSED, replace={":path": b"/echo.Echo/Unary\x7f"}),
    Row("path-space", "a :path with a space is refused", REFUSED, replace={":path": "/echo.Echo/Unary x"}),
    Row("path-latin", "a :path with a byte above 127 is refused", REFUSED, replace={":path": b"/echo.Echo/\xffnary"}),
    Row("path-utf8", "a :path with UTF-8 is refused", REFUSED, replace={":path": "/echo.Echo/Ünary".encode()}),
    Row("path-relative", "a :path without a slash in front is refused", REFUSED, replace={":path": "echo.Echo/Unary"}),
    Row("path-empty", "an empty :path is refused", REFUSED, replace={":path": ""}),
    Row("scheme-other", "a :scheme that is neither http nor https is refused", REFUSED, replace={":scheme": "ftp"}),
    Row("scheme-https", "a :scheme of https passes on the clear port", PASSES, replace={":scheme": "https"}),
    Row("method-lower", "a :method in lower case is refused", REFUSED, replace={":method": "post"}),
    Row("connect", "CONNECT is not allowed", NOT_ALLOWED,
        replace={":method": "CONNECT", ":scheme": None, ":path": None}),
    Row("connect-extended", "extended CONNECT is not allowed", NOT_ALLOWED_OR_REFUSED,
        [(":protocol", "websocket")], {":method": "CONNECT", "content-type": None, "te": None}),

    # --- fields that have one value
    Row("content-type-twice", "two content-type fields are refused", REFUSED, [("content-type", "text/html")]),
    Row("te-twice", "two te fields are refused", REFUSED, [("te", "trailers")]),
    Row("timeout-twice", "two grpc-timeout fields are refused", REFUSED,
        [("grpc-timeout", "1S"), ("grpc-timeout", "9S")]),
    Row("encoding-twice", "two grpc-encoding fields are refused", REFUSED,
        [("grpc-encoding", "gzip"), ("grpc-encoding", "identity")]),
    Row("length-twice", "two content-length fields are refused", REFUSED,
        [("content-length", "10"), ("content-length", "11")]),
    Row("length-bad", "a content-length that is no number is refused", REFUSED, [("content-length", "1x")]),

    # --- what belongs to the connection
    Row("te-missing", "a missing te passes", PASSES, replace={"te": None}),
    Row("te-gzip", "a te other than trailers is refused", REFUSED, replace={"te": "gzip"}),
    Row("te-list", "a te with more than trailers is refused", REFUSED, replace={"te": "trailers, deflate"}),
    Row("connection", "a connection field is refused", REFUSED, [("connection", "close")]),
    Row("keep-alive", "a keep-alive field is refused", REFUSED, [("keep-alive", "timeout=5")]),
    Row("proxy-connection", "a proxy-connection field is refused", REFUSED, [("proxy-connection", "keep-alive")]),
    Row("transfer-encoding", "a transfer-encoding field is refused", REFUSED, [("transfer-encoding", "chunked")]),
    Row("upgrade", "an upgrade field is refused", REFUSED, [("upgrade", "h2c")]),

    # --- what is no field
    Row("name-upper", "a field name in upper case is refused", REFUSED, [("X-Upper", "1")]),
    Row("name-empty", "an empty field name is refused", REFUSED, [("", "1")]),
    Row("name-space", "a field name with a space is refused", REFUSED, [("x y", "1")]),
    Row("name-colon", "a field name with a colon is refused", REFUSED, [("x:y", "1")]),
    Row("value-crlf", "a field value with CR LF is refused", REFUSED, [("x-value", b"a\r\nx-injected: 1")]),
    Row("value-nul", "a field value with NUL is refused", REFUSED, [("x-value", b"a\0b")]),
    Row("pseudo-unknown", "an unknown pseudo-header field is refused", REFUSED, [(":unknown", "1")]),
    Row("pseudo-status", "a :status in a request is refused", REFUSED, [(":status", "200")]),

    # --- what is odd and allowed
    Row("timeout-bad", "a grpc-timeout that cannot be read is passed on, with no deadline here", PASSES,
        [("grpc-timeout", "-1S")]),
    Row("timeout-large", "a grpc-timeout of 8 digits of hours passes", PASSES, [("grpc-timeout", "99999999H")]),
    Row("binary", "a binary field passes", PASSES, [("x-trace-bin", "AAECAwQFBgc=")]),
    Row("space-around", "a field value with a space at its end passes", PASSES, [("x-value", "a ")]),
    Row("query", "a :path with a query is passed on", ("an answer", lambda response: response.grpc_status is not None),
        replace={":path": "/echo.Echo/Unary?x=1"}),
]


def _register(row: Row) -> None:
    @trap(f"validate/{row.name}", row.sentence)
    def run(proxy: Proxy) -> str:
        with proxy.connect() as connection:
            extra = [(name, connection.authority if value is AUTHORITY else value) for name, value in row.extra]
            expected, satisfied = row.verdict
            response = connection.call(extra, replace=row.replace)
            codes = [frames.error_name(code) for code in connection.goaway_codes]
            expect(satisfied(response), f"expected {expected}, got {response}"
                                        f"{f'; GOAWAY {codes}' if codes else ''} {connection.closed}".rstrip())
            expect_served(connection)
        return str(response) if row.verdict not in (REFUSED, PASSES) else ""


for _row in ROWS:
    _register(_row)
