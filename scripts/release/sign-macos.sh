#!/usr/bin/env bash
# Gives macOS binaries a new ad-hoc signature and checks it. On a Mac only: codesign comes with macOS.
#   scripts/release/sign-macos.sh <binary>...
# No certificate and no secret is involved: the signature says that the file is whole, not who made it.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: $0 <binary>..." >&2; exit 2; }
command -v codesign >/dev/null || { echo "$0: codesign is missing; this runs on macOS" >&2; exit 1; }

for binary in "$@"; do
  chmod 755 "$binary"
  # Forced, since what Bun leaves in a darwin-x64 binary is the signature of its own runtime, which no longer fits.
  codesign --force --sign - --identifier clickhouse-backfill "$binary"
  codesign --verify --strict --verbose=2 "$binary"
done
