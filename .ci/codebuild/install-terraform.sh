#!/usr/bin/env bash
# Installs the Terraform of the workflows, which no image of CodeBuild has.
set -euo pipefail
version=1.11.4
sha256=1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc
archive=$(mktemp)
curl --fail --silent --show-error --location --max-time 300 --retry 5 --output "$archive" \
  "https://releases.hashicorp.com/terraform/$version/terraform_${version}_linux_amd64.zip"
echo "$sha256  $archive" | sha256sum --check --quiet
unzip -q -o "$archive" terraform -d /usr/local/bin
rm "$archive"
