#!/bin/sh
# Generates the Swift messages of protos/*.proto. The result is committed: nobody who only builds needs this.
#
#   scripts/generate-protos.sh
#
# protoc      comes with the Python package grpcio-tools ($EKIDEN_PYTHON, else .venv/bin/python, else python3).
# protoc-gen-swift is built from the swift-protobuf that this package already uses, so that generated code and runtime
#             have one version ($PROTOC_GEN_SWIFT names a ready one). It needs `swift package resolve` to have run.
set -eu

cd "$(dirname "$0")/.."
out=Sources/ekiden/Echo/Generated

if [ -n "${EKIDEN_PYTHON:-}" ]; then
    python=$EKIDEN_PYTHON
elif [ -x .venv/bin/python ]; then
    python=.venv/bin/python
else
    python=python3
fi
if ! "$python" -c 'import grpc_tools' 2>/dev/null; then
    echo "generate-protos: $python has no grpc_tools: $python -m pip install grpcio-tools" >&2
    exit 1
fi

plugin=${PROTOC_GEN_SWIFT:-}
if [ -z "$plugin" ]; then
    checkout=.build/checkouts/swift-protobuf
    if [ ! -d "$checkout" ]; then
        echo "generate-protos: $checkout is missing: run 'swift package resolve' first" >&2
        exit 1
    fi
    # A scratch path of its own: the checkout is read-only to SwiftPM and .build is locked by a running build.
    scratch=.build/protoc-gen-swift
    echo "generate-protos: building protoc-gen-swift (about a minute, once)" >&2
    swift build --quiet --package-path "$checkout" --scratch-path "$scratch" --product protoc-gen-swift
    plugin=$scratch/debug/protoc-gen-swift
fi

mkdir -p "$out"
"$python" -m grpc_tools.protoc \
    --proto_path=protos \
    --plugin=protoc-gen-swift="$plugin" \
    --swift_opt=Visibility=Internal \
    --swift_out="$out" \
    protos/*.proto
ls "$out"
