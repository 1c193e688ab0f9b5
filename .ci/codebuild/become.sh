# Sourced by buildspecs: what comes next is done as ROLE. Terraform and the tools of AWS take it by the credentials of the project, and anew where they end: no key is in a file.
aws configure set role_arn "$ROLE" --profile tribo || return 1
aws configure set credential_source EcsContainer --profile tribo || return 1
aws configure set region "$AWS_REGION" --profile tribo || return 1
export AWS_PROFILE=tribo
