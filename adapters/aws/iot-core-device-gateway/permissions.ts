import type { Grant } from '../../permissions.ts';
import { TABLE_ACTIONS } from '../dynamo-table.ts';

const STREAMS = ['deviceStream', 'errorStream'].map((name) => `arn:aws:kinesis:<region>:*:stream/<${name}>`);

/** Beside those of the registry. https://docs.aws.amazon.com/iot/latest/developerguide/iot-policy-actions.html */
export const iotCoreDeviceGatewayPermissions: readonly Grant[] = [
  ...STREAMS.map((on) => ({ actions: ['kinesis:ListShards', 'kinesis:GetShardIterator', 'kinesis:GetRecords'], on })),
  { actions: [...TABLE_ACTIONS, 'dynamodb:Query'], on: 'arn:aws:dynamodb:<region>:*:table/<stateTable>' },
  { actions: ['iot:Publish'], on: 'arn:aws:iot:<region>:*:topic/tribo/v1/*/command' },
  { actions: ['kms:Decrypt'], on: 'their key', note: 'where the streams are encrypted with a key of one’s own' },
  ...STREAMS.map((on) => ({ actions: ['kinesis:DescribeStreamSummary'], on, isForVerification: true as const })),
];
