import type { Grant } from '../../permissions.ts';

/** https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-access.html */
export const ssmSecretStorePermissions: readonly Grant[] = [
  {
    actions: ['ssm:GetParameter', 'ssm:PutParameter', 'ssm:DeleteParameter'],
    on: 'arn:aws:ssm:<region>:*:parameter<prefix>*',
  },
  {
    actions: ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey'],
    on: 'key <kmsKeyId>',
    note: 'where there is one; the last for advanced parameters alone',
  },
];
