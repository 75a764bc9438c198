#!/usr/bin/env bash
# Makes an image of Alpine with what its users install, and prints the command that starts a program of a folder in it.
#   scripts/release/alpine.sh <folder>
# Needs Docker. The container has this machine's network, for a server that listens here.
set -euo pipefail

folder=${1:?usage: $0 <folder>}
image=clickhouse-backfill-alpine
docker build --quiet --tag "$image" - >/dev/null <<'END'
FROM alpine:3.22
RUN apk add --no-cache libstdc++
END
echo docker run --rm --network host --env CLICKHOUSE_PASSWORD --volume "$folder:$folder:ro" "$image"
