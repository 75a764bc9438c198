#!/usr/bin/env bash
# Builds the image from the archive in dist/, served as a release is, and starts it: a backfill, its size, its user.
#   scripts/release/check-image.sh <url of a ClickHouse on this machine>
# Needs Docker, Python 3, and Node with npm. dist/ holds linux-x64's archive and SHA256SUMS.
set -euo pipefail
cd "$(dirname "$0")/../.."

url=${1:?usage: $0 <url>}
image=clickhouse-backfill
bun=(npx --yes bun@1.4.5)

folder=$(mktemp -d)
mkdir "$folder/latest"
ln -s "$PWD/dist" "$folder/latest/download"
python3 -m http.server --bind 127.0.0.1 --directory "$folder" 8124 >/dev/null 2>&1 &
trap 'kill "$!"; rm -rf "$folder"' EXIT

docker build --network host --build-arg RELEASES=http://127.0.0.1:8124 --tag "$image" - <deploy/Dockerfile
bytes=$(docker image inspect --format '{{.Size}}' "$image")
user=$(docker image inspect --format '{{.Config.User}}' "$image")
echo "$bytes bytes, user $user"
[ "$bytes" -lt 150000000 ]
case $user in "" | root | 0*) exit 1 ;; esac

"${bun[@]}" scripts/release/smoke.ts --url "$url" \
  --runner "docker run --rm --network host --env CLICKHOUSE_PASSWORD --read-only --tmpfs /state:uid=65532 --cap-drop ALL $image"

# In the place of Langfuse's own file.
CLICKHOUSE_BACKFILL_IMAGE=$image docker compose -f - -f deploy/compose.yaml --profile backfill config --quiet <<'END'
services:
  clickhouse:
    image: clickhouse/clickhouse-server
END
