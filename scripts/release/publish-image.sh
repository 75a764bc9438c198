#!/usr/bin/env bash
# Builds the image of a published release for both processors, and publishes it.
#   scripts/release/publish-image.sh <tag> <image, such as ghcr.io/owner/repository>
# Needs Docker with buildx, a GH_TOKEN that may write packages, and GitHub's variables.
set -euo pipefail
cd "$(dirname "$0")/../.."

tag=${1:?usage: $0 <tag> <image>}
image=${2:?usage: $0 <tag> <image>}
tags=(--tag "$image:${tag#v}")
# A version such as 1.0.0-rc.1 must not become the latest one.
case $tag in *-*) ;; *) tags+=(--tag "$image:latest") ;; esac

docker login "${image%%/*}" --username "$GITHUB_ACTOR" --password-stdin <<<"$GH_TOKEN"
docker buildx create --use
docker buildx build --platform linux/amd64,linux/arm64 --push "${tags[@]}" \
  --build-arg "RELEASES=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/releases" --build-arg "VERSION=$tag" \
  --label "org.opencontainers.image.source=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY" deploy
