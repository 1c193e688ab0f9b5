import type { Moto } from './moto.ts';

/** Makes a table as the adapters on DynamoDB want it: with `pk` and `sk`, both strings. */
export async function makeTable({ endpoint }: Moto, region: string, table: string): Promise<void> {
  const { DynamoDB } = await import('@aws-sdk/client-dynamodb');
  const dynamodb = new DynamoDB({ region, endpoint });
  await dynamodb.createTable({
    TableName: table,
    BillingMode: 'PAY_PER_REQUEST',
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    AttributeDefinitions: [
      { AttributeName: 'pk', AttributeType: 'S' },
      { AttributeName: 'sk', AttributeType: 'S' },
    ],
  });
  dynamodb.destroy();
}
