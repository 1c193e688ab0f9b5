#!/usr/bin/env bash
# Builds the image of SERVICE for CLOUD from the commit REVISION of SOURCE, pushes it as IMAGE:TAG, and leaves its digest in digest.json.
set -euo pipefail
docker buildx build . --target "$SERVICE" --build-arg SDKS="$CLOUD postgres kafka" --platform linux/amd64 \
  --provenance=mode=max --sbom=true --output "type=image,name=$IMAGE:$TAG,push=true" --metadata-file metadata.json \
  --label "org.opencontainers.image.source=$SOURCE" --label "org.opencontainers.image.revision=$REVISION"
jq -e --arg service "$SERVICE" \
  '.["containerimage.digest"] as $digest | if $digest | test("^sha256:[0-9a-f]{64}$") then {($service): $digest} else error("no digest") end' \
  metadata.json > digest.json
