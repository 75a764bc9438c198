#!/usr/bin/env bash
# Takes an archive as a user would: checks its digest, unpacks it, and starts what is in it on this machine.
#   scripts/release/smoke-archive.sh <target> [<url of a ClickHouse>]
# The archive and SHA256SUMS are in dist/. Needs Node with npm, and Docker for the binaries that are made for musl.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${1:?usage: $0 <target> [<url>]}
archive=clickhouse-backfill-$target.tar.gz
bun=(npx --yes bun@1.4.5)

cd dist
# macOS has shasum, which knows no --ignore-missing.
grep "  $archive\$" SHA256SUMS | if command -v sha256sum >/dev/null; then sha256sum -c -; else shasum -a 256 -c -; fi
cd ..
# In a folder of its own: in dist/ the binary lies where the archive has its folder.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tar -xzf "dist/$archive" -C "$folder"
"${bun[@]}" install --frozen-lockfile
runner=
case $target in *-musl) runner=$(scripts/release/alpine.sh "$folder") ;; esac
"${bun[@]}" scripts/release/smoke.ts --binary "$folder/clickhouse-backfill-$target/clickhouse-backfill" ${2:+--url "$2"} --runner "$runner"
