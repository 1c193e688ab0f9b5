import { z } from 'zod';
import { awsPlaceShape } from '../aws-place.ts';

/** Where checkpoints and leases are items of a table of DynamoDB, whose partition key is `pk` and whose sort key is `sk`, both strings. */
export const dynamodbCheckpointStoreConfigSchema = z.strictObject({
  ...awsPlaceShape,
  table: z.string().min(3).max(255),
});

export type DynamodbCheckpointStoreConfig = z.infer<typeof dynamodbCheckpointStoreConfigSchema>;
