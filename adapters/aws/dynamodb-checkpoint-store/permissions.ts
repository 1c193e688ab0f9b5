import type { Grant } from '../../permissions.ts';
import { TABLE_ACTIONS } from '../dynamo-table.ts';

const TABLE = 'arn:aws:dynamodb:<region>:*:table/<table>';

export const dynamodbCheckpointStorePermissions: readonly Grant[] = [
  { actions: TABLE_ACTIONS, on: TABLE },
  { actions: ['dynamodb:Query'], on: TABLE, isForVerification: true },
];
