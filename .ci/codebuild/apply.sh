#!/usr/bin/env bash
# Applies the stacks of the environment NAME with the images of digests.json, in their order. Before any of them runs, the registry is told to keep it.
set -euo pipefail
TF_VAR_image_digests=$(jq -c . "$CODEBUILD_SRC_DIR_Digests/digests.json")
export TF_VAR_image_digests TF_VAR_sensor_data_processor_bundle="$PWD/services/functions/dist/sensor-data-processor.zip"
bash .ci/codebuild/keep-images.sh
for stack in foundation data platform; do
  bash .ci/apply-stack.sh "infra/out/$NAME/aws/stacks/$stack"
done
