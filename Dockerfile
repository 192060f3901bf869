# The image of Ekiden: one static-Swift binary on a slim Debian. docs/decisions/0004-container-image.md says why it is built
# so and how large it is; `make image-check` replays the final stage where there is no container engine.

FROM swift:6.3-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libc-ares-dev libnghttp2-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies are a layer of their own: they change less often than the sources.
COPY Package.swift ./
RUN swift package resolve
COPY Sources Sources
# SwiftPM wants the folder of every target that the manifest names, tests too.
COPY Tests Tests
RUN swift build -c release --static-swift-stdlib --product ekiden -Xlinker -s

# The Debian of the build stage: the C libraries must be of the same ABI.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libc-ares2 libnghttp2-14 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 ekiden \
    && useradd --uid 65532 --gid 65532 --no-create-home --no-log-init --shell /usr/sbin/nologin ekiden
COPY --from=build /src/.build/release/ekiden /usr/local/bin/ekiden
USER 65532:65532
# The mesh port and the admin port; the latter is loopback only unless the configuration allows more.
EXPOSE 15001 9901
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=2s --start-period=5s --retries=2 CMD ["/usr/local/bin/ekiden", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/ekiden"]
CMD ["run"]
