import type { AttributeValue, UpdateItemCommandInput } from '@aws-sdk/client-dynamodb';
import { loadSdk } from '../sdk.ts';
import { clientSettings, type AwsPlace } from './aws-place.ts';

export type DynamoValue = string | number | boolean | Uint8Array;
export type DynamoItem = Readonly<Record<string, DynamoValue | undefined>>;

/** What its calls take on the table, but `list`, which takes `dynamodb:Query`. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/api-permissions-reference.html */
export const TABLE_ACTIONS: readonly string[] = [...['dynamodb:GetItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem']];

/** Of a table whose partition key is `pk` and whose sort key is `sk`, both strings. */
export interface DynamoKey {
  readonly pk: string;
  readonly sk: string;
}

export interface DynamoChange {
  readonly set?: DynamoItem;
  /** To numbers, which begin at 0. */
  readonly add?: Readonly<Record<string, number>>;
  readonly remove?: readonly string[];
  /** What the attributes must be; undefined: not there. */
  readonly where?: DynamoItem;
}

/** The calls of DynamoDB that adapters make: each one attempt, reads strongly consistent, throwing what the SDK throws. */
export interface DynamoTable {
  get(key: DynamoKey, signal: AbortSignal): Promise<DynamoItem | undefined>;
  /** All items of the partition, in the order of their sort keys. */
  list(pk: string, signal: AbortSignal): Promise<readonly DynamoItem[]>;
  /** Changes the item, or makes it; resolves to what it was and is. The SDK's ConditionalCheckFailedException where it is not as in `where`. */
  update(key: DynamoKey, change: DynamoChange, signal: AbortSignal, returns?: 'old' | 'new'): Promise<DynamoItem>;
  delete(key: DynamoKey, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The SDK is loaded here and nowhere else, so that a site without DynamoDB never loads it. */
export async function openDynamoTable(place: AwsPlace & { readonly table: string }): Promise<DynamoTable> {
  const { DynamoDBClient, GetItemCommand, QueryCommand, UpdateItemCommand, DeleteItemCommand } = await loadSdk(
    'AWS',
    () => import('@aws-sdk/client-dynamodb'),
  );
  const client = new DynamoDBClient(clientSettings(place));
  const TableName = place.table;
  return {
    get: async (key, abortSignal) => {
      const command = new GetItemCommand({ TableName, Key: keyOf(key), ConsistentRead: true });
      const { Item } = await client.send(command, { abortSignal });
      return Item && itemOf(Item);
    },
    list: async (pk, abortSignal) => {
      const found: DynamoItem[] = [];
      let from: Record<string, AttributeValue> | undefined;
      do {
        const command = new QueryCommand({
          ...{ TableName, ConsistentRead: true, KeyConditionExpression: 'pk = :pk' },
          ExpressionAttributeValues: { ':pk': { S: pk } },
          ...(from && { ExclusiveStartKey: from }),
        });
        const { Items = [], LastEvaluatedKey } = await client.send(command, { abortSignal });
        found.push(...Items.map(itemOf));
        from = LastEvaluatedKey;
      } while (from);
      return found;
    },
    update: async (key, change, abortSignal, returns = 'new') => {
      const command = new UpdateItemCommand({
        ...{ TableName, Key: keyOf(key), ReturnValues: returns === 'new' ? 'ALL_NEW' : 'ALL_OLD' },
        ...updateExpression(change),
      });
      const { Attributes = {} } = await client.send(command, { abortSignal });
      return itemOf(Attributes);
    },
    delete: async (key, abortSignal) => {
      await client.send(new DeleteItemCommand({ TableName, Key: keyOf(key) }), { abortSignal });
    },
    close: () => client.destroy(),
  };
}

/** The change in DynamoDB's language, with names and values by number, as any name may be one of its reserved words. */
function updateExpression({
  set = {},
  add = {},
  remove = [],
  where = {},
}: DynamoChange): Partial<UpdateItemCommandInput> {
  const names: Record<string, string> = {};
  const values: Record<string, AttributeValue> = {};
  const name = (text: string): string => {
    const placeholder = `#n${Object.keys(names).length}`;
    names[placeholder] = text;
    return placeholder;
  };
  const value = (given: DynamoValue): string => {
    const placeholder = `:v${Object.keys(values).length}`;
    values[placeholder] = attributeOf(given);
    return placeholder;
  };
  const clause = (word: string, terms: readonly string[]) => (terms.length > 0 ? [`${word} ${terms.join(', ')}`] : []);
  const conditions = Object.entries(where).map(([key, given]) =>
    given === undefined ? `attribute_not_exists(${name(key)})` : `${name(key)} = ${value(given)}`,
  );
  const update = [
    ...clause(
      'SET',
      definedEntries(set).map(([key, given]) => `${name(key)} = ${value(given)}`),
    ),
    ...clause(
      'ADD',
      Object.entries(add).map(([key, given]) => `${name(key)} ${value(given)}`),
    ),
    ...clause('REMOVE', remove.map(name)),
  ];
  return {
    UpdateExpression: update.join(' '),
    ...(conditions.length > 0 && { ConditionExpression: conditions.join(' AND ') }),
    ExpressionAttributeNames: names,
    ...(Object.keys(values).length > 0 && { ExpressionAttributeValues: values }),
  };
}

function definedEntries(item: DynamoItem): [string, DynamoValue][] {
  return Object.entries(item).filter((entry): entry is [string, DynamoValue] => entry[1] !== undefined);
}

function keyOf({ pk, sk }: DynamoKey): Record<string, AttributeValue> {
  return { pk: { S: pk }, sk: { S: sk } };
}

function attributeOf(value: DynamoValue): AttributeValue {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'number') return { N: String(value) };
  return typeof value === 'boolean' ? { BOOL: value } : { B: value };
}

function itemOf(attributes: Record<string, AttributeValue>): DynamoItem {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, { S, N, B, BOOL }]) => [
      name,
      S ?? B ?? BOOL ?? (N === undefined ? undefined : Number(N)),
    ]),
  );
}
