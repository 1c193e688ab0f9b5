import type { Grant } from '../../permissions.ts';

/** https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-language-api-permissions-reference.html */
export const snsNotifierPermissions: readonly Grant[] = [
  { actions: ['sns:Publish'], on: '<topicArn>' },
  {
    actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
    on: 'its key',
    note: 'where the topic is encrypted with a key of one’s own',
  },
];
