import type { Grant } from '../../permissions.ts';

const CALLS = [
  ...['sagemaker:CreateModelPackageGroup', 'sagemaker:DescribeModelPackageGroup', 'sagemaker:CreateModelPackage'],
  ...['sagemaker:DescribeModelPackage', 'sagemaker:ListModelPackages', 'sagemaker:UpdateModelPackage'],
];

/** A package is made in its group, for which SageMaker asks of both. https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html */
export const sagemakerModelRegistryPermissions: readonly Grant[] = [
  { actions: CALLS, on: 'arn:aws:sagemaker:<region>:*:model-package-group/<groupPrefix>-*' },
  { actions: CALLS, on: 'arn:aws:sagemaker:<region>:*:model-package/<groupPrefix>-*' },
  { actions: ['sagemaker:ListModelPackageGroups'], on: '*' },
  { actions: ['ecr:BatchGetImage'], on: 'the repository of <image>', note: 'as SageMaker looks the image up' },
];
