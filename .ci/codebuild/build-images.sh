#!/usr/bin/env bash
# Builds the image of each of SERVICES from the commit REVISION, and leaves what their digests are in digests.json. No registry of the platform replaces
# an image: a commit that is built again has tags of its own.
set -euo pipefail
registry=${REPOSITORY%/*}
aws ecr get-login-password | docker login --username AWS --password-stdin "${registry%%/*}"
# What Docker itself builds by has neither SBOM nor provenance.
docker buildx create --use
for service in $SERVICES; do
  SERVICE=$service CLOUD=aws IMAGE=$registry/$service TAG=$REVISION-$CODEBUILD_BUILD_NUMBER bash .ci/build-image.sh
  mkdir -p "digests/$service"
  mv digest.json "digests/$service/"
done
jq -s add digests/*/digest.json > digests.json
