import type { Grant } from '../../permissions.ts';

/** https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html */
export const sagemakerModelRegistryPermissions: readonly Grant[] = [
  {
    actions: [
      ...['sagemaker:CreateModelPackageGroup', 'sagemaker:DescribeModelPackageGroup', 'sagemaker:ListModelPackages'],
    ],
    on: 'arn:aws:sagemaker:<region>:*:model-package-group/<groupPrefix>-*',
  },
  {
    actions: ['sagemaker:CreateModelPackage', 'sagemaker:DescribeModelPackage', 'sagemaker:UpdateModelPackage'],
    on: 'arn:aws:sagemaker:<region>:*:model-package/<groupPrefix>-*',
  },
  { actions: ['sagemaker:ListModelPackageGroups'], on: '*' },
  { actions: ['ecr:BatchGetImage'], on: 'the repository of <image>', note: 'as SageMaker looks the image up' },
];
