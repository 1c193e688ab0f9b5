import type { Grant } from '../../permissions.ts';
import { TABLE_ACTIONS } from '../dynamo-table.ts';

const STREAM = 'arn:aws:kinesis:<region>:*:stream/<streams>';

/** https://docs.aws.amazon.com/streams/latest/dev/controlling-access.html */
export const kinesisEventStreamPermissions: readonly Grant[] = [
  {
    actions: ['kinesis:PutRecords', 'kinesis:ListShards', 'kinesis:GetShardIterator', 'kinesis:GetRecords'],
    on: STREAM,
  },
  { actions: [...TABLE_ACTIONS, 'dynamodb:Query'], on: 'arn:aws:dynamodb:<region>:*:table/<stateTable>' },
  {
    actions: ['kms:GenerateDataKey', 'kms:Decrypt'],
    on: 'their key',
    note: 'where the streams are encrypted with a key of one’s own',
  },
  { actions: ['kinesis:DescribeStreamSummary'], on: STREAM, isForVerification: true },
];
