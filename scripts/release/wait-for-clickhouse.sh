#!/usr/bin/env bash
# Waits until a ClickHouse server responds to a query, at most a minute.
#   scripts/release/wait-for-clickhouse.sh http://user:password@host:8123
set -euo pipefail

url=${1:?usage: $0 <url>}
for ((attempt = 1; attempt <= 60; attempt++)); do
  if version=$(curl -fsS --max-time 5 "$url/?query=SELECT+version()" 2>&1); then
    echo "ClickHouse $version"
    exit 0
  fi
  sleep 1
done
echo "no response within a minute: $version" >&2
exit 1
