#!/usr/bin/env bash
# Has Terraform and the providers themselves validate each stack that `npm run synth` wrote. Providers are fetched once, into TF_PLUGIN_CACHE_DIR.
set -euo pipefail
export TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=true
mkdir -p "$TF_PLUGIN_CACHE_DIR"
stacks=(infra/out/*/*/stacks/*/)
[ -d "${stacks[0]}" ] || { echo "::error::there is no stack: npm run synth"; exit 1; }
failed=0
for stack in "${stacks[@]}"; do
  echo "::group::$stack"
  terraform -chdir="$stack" init -backend=false -input=false -no-color > /dev/null && terraform -chdir="$stack" validate -no-color || { failed=1; echo "::error::$stack is not valid"; }
  echo "::endgroup::"
done
exit "$failed"
