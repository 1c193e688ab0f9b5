#!/usr/bin/env bash
# Gives the images of digests.json, in the repositories REPOSITORIES/<service>, a tag that says that they are deployed: the registry keeps those apart
# from what was built and never approved. A tag is never replaced, so that each run has its own.
set -euo pipefail
tag=deployed-$REVISION-$CODEBUILD_BUILD_NUMBER
jq -r 'to_entries[] | "\(.key) \(.value)"' "$CODEBUILD_SRC_DIR_Digests/digests.json" > deployed.txt
while read -r service digest; do
  image=$(aws ecr batch-get-image --repository-name "$REPOSITORIES/$service" --image-ids "imageDigest=$digest" --output json)
  manifest=$(jq -er '.images[0].imageManifest' <<< "$image")
  type=$(jq -er '.images[0].imageManifestMediaType' <<< "$image")
  # With the digest the registry refuses a manifest that is not, byte for byte, that of the image.
  aws ecr put-image --repository-name "$REPOSITORIES/$service" --image-tag "$tag" --image-digest "$digest" \
    --image-manifest "$manifest" --image-manifest-media-type "$type" > /dev/null
done < deployed.txt
