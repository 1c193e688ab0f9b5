#!/usr/bin/env bash
# Plans each stack of the environment NAME at CLOUD against what is deployed, with the images IMAGE_DIGESTS, and changes nothing. What would change is
# told in plan.md; plan-result has `same`, or `changed` where a stack would be, and plan-left-out the stacks of which that cannot be said yet.
set -euo pipefail
result=same
left_out=()
options=(-input=false -no-color -lock=false -detailed-exitcode -out=plan)
# Whoever looks has no right to the vault of keys, nor to list what opens a service, which reading anew what is deployed asks for.
[ "$CLOUD" != azure ] || options+=(-refresh=false)
for stack in foundation data platform services pipeline; do
  folder=infra/out/$NAME/$CLOUD/stacks/$stack
  [ -d "$folder" ] || continue
  if [ "$stack" = services ] && [ "$CLOUD" != gcp ]; then
    echo "::notice::$NAME: what is in its cluster is not planned, as the control plane is reached from within its network alone"
    continue
  fi
  if [ "$stack" = services ] && ! command -v gke-gcloud-auth-plugin > /dev/null; then
    echo "::warning::$NAME: what is in its cluster is not planned, as this runner lacks gke-gcloud-auth-plugin: install it, or name a runner that has it"
    continue
  fi
  [ "$stack" = foundation ] || [ "$stack" = data ] || export TF_VAR_image_digests="$IMAGE_DIGESTS" TF_VAR_sensor_data_processor_bundle="$PWD/services/functions/dist/sensor-data-processor.zip"
  terraform -chdir="$folder" init -input=false -no-color > /dev/null
  code=0
  terraform -chdir="$folder" plan "${options[@]}" || code=$?
  if [ "$code" != 0 ] && [ "$code" != 2 ]; then
    # A stack reads what those before it give, which is not there before they are applied: to end here would keep them from ever being.
    [ "$result" = changed ] || exit "$code"
    echo "::warning::$NAME: $stack could not be planned: it may need what would change in the stacks before it"
    { echo "### $NAME: $stack"; echo "**Not planned.** Terraform fails, and says in the log why. Where the reason is what would change in the stacks before it, it is planned once they are applied; else its application fails."; } >> plan.md
    left_out+=("$stack")
    continue
  fi
  [ "$code" = 0 ] || result=changed
  { echo "### $NAME: $stack"; echo '```'; terraform -chdir="$folder" show -no-color plan | tail -c 12000; echo '```'; } >> plan.md
done
echo "$result" > plan-result
echo "${left_out[*]}" > plan-left-out
