import type { Grant } from '../../permissions.ts';

/** https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html */
export const secretsManagerSecretStorePermissions: readonly Grant[] = [
  {
    actions: [
      ...['secretsmanager:GetSecretValue', 'secretsmanager:PutSecretValue', 'secretsmanager:CreateSecret'],
      ...['secretsmanager:DeleteSecret', 'secretsmanager:RestoreSecret', 'secretsmanager:DescribeSecret'],
    ],
    on: 'arn:aws:secretsmanager:<region>:*:secret:<prefix>*',
  },
  { actions: ['kms:GenerateDataKey', 'kms:Decrypt'], on: 'key <kmsKeyId>', note: 'where there is one' },
];
