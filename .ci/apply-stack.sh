#!/usr/bin/env bash
# Plans the stack in the folder that is given, and applies that plan.
set -euo pipefail
cd "$1"
terraform init -input=false
terraform plan -input=false -out=plan
terraform apply -input=false plan
