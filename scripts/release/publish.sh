#!/usr/bin/env bash
# Publishes the files in dist/ as the release of a tag: first as a draft, then, when all files are there, for everybody.
#   scripts/release/publish.sh <tag> <file with the notes>
# Needs gh and a GH_TOKEN that may write releases.
set -euo pipefail
cd "$(dirname "$0")/../.."

tag=${1:?usage: $0 <tag> <notes>}
notes=${2:?usage: $0 <tag> <notes>}
files=(
  dist/clickhouse-backfill-{linux,darwin}-{x64,arm64}
  dist/clickhouse-backfill-linux-{x64,arm64}-musl
  dist/clickhouse-backfill-{linux,darwin}-{x64,arm64}.tar.gz
  dist/clickhouse-backfill-linux-{x64,arm64}-musl.tar.gz
  dist/clickhouse-backfill-deploy.tar.gz
  dist/clickhouse-backfill.cdx.json
  dist/SHA256SUMS
  dist/install.sh
)
for file in "${files[@]}"; do
  [ -s "$file" ] || { echo "$file is missing" >&2; exit 1; }
done

# A version such as 1.0.0-rc.1 must not become the latest one.
kind=()
case $tag in *-*) kind=(--prerelease) ;; esac

gh release create "$tag" --draft --verify-tag --title "$tag" --notes-file "$notes" "${kind[@]}" "${files[@]}"
published=$(gh release view "$tag" --json assets --jq '.assets | length')
[ "$published" -eq ${#files[@]} ] || { echo "the draft has $published files, not ${#files[@]}" >&2; exit 1; }
gh release edit "$tag" --draft=false
