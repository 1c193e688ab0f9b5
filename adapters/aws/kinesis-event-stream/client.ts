import type { ShardIteratorType } from '@aws-sdk/client-kinesis';
import { loadSdk } from '../../sdk.ts';
import { clientSettings, type AwsPlace } from '../aws-place.ts';

/** A record to put: the hash key decides the shard, the partition key is only for people who look. */
export interface OutgoingRecord {
  readonly data: Uint8Array;
  readonly partitionKey: string;
  readonly hashKey: string;
}

/** What became of a record: where it is, or why not. */
export interface PutResult {
  readonly shardId?: string;
  readonly sequenceNumber?: string;
  readonly errorCode?: string;
}

export interface IncomingRecord {
  readonly sequenceNumber: string;
  readonly data: Uint8Array;
}

export interface Shard {
  readonly id: string;
  readonly parents: readonly string[];
  readonly isOpen: boolean;
  readonly firstHashKey: string;
}

/** Where reading a shard begins: at its oldest record, or at or after one. */
export type ShardStart =
  { readonly at: 'oldest' } | { readonly at: 'record' | 'after'; readonly sequenceNumber: string };

/** The calls of Kinesis that the stream makes: each one attempt, throwing what the SDK throws. */
export interface KinesisCalls {
  /** At most 500 records; the results are in their order. */
  put(stream: string, records: readonly OutgoingRecord[], signal: AbortSignal): Promise<readonly PutResult[]>;
  /** What the stream is, for who judges it as a whole. */
  summary(stream: string, signal: AbortSignal): Promise<{ readonly status: string; readonly retentionHours: number }>;
  shards(stream: string, signal: AbortSignal): Promise<readonly Shard[]>;
  iterator(stream: string, shard: string, start: ShardStart, signal: AbortSignal): Promise<string>;
  /** `next` is undefined after the last record of a closed shard. */
  read(
    iterator: string,
    signal: AbortSignal,
  ): Promise<{ records: readonly IncomingRecord[]; next: string | undefined }>;
  close(): void;
}

const ITERATORS: Readonly<Record<ShardStart['at'], ShardIteratorType>> = {
  oldest: 'TRIM_HORIZON',
  record: 'AT_SEQUENCE_NUMBER',
  after: 'AFTER_SEQUENCE_NUMBER',
};

/** The SDK is loaded here and nowhere else, so that a site without Kinesis never loads it. */
export async function openKinesis(place: AwsPlace): Promise<KinesisCalls> {
  const [sdk, { NodeHttpHandler }] = await loadSdk('AWS', () =>
    Promise.all([import('@aws-sdk/client-kinesis'), import('@smithy/node-http-handler')]),
  );
  const settings = clientSettings(place);
  // HTTP/2, the SDK's choice for Kinesis, is of use only to SubscribeToShard.
  const client = new sdk.KinesisClient({ ...settings, requestHandler: new NodeHttpHandler(settings.requestHandler) });
  return {
    put: async (StreamName, records, abortSignal) => {
      const command = new sdk.PutRecordsCommand({
        StreamName,
        Records: records.map(({ data: Data, partitionKey: PartitionKey, hashKey: ExplicitHashKey }) => ({
          ...{ Data, PartitionKey, ExplicitHashKey },
        })),
      });
      const { Records = [] } = await client.send(command, { abortSignal });
      return Records.map(({ ShardId, SequenceNumber, ErrorCode }) => ({
        ...(ShardId !== undefined && { shardId: ShardId }),
        ...(SequenceNumber !== undefined && { sequenceNumber: SequenceNumber }),
        ...(ErrorCode !== undefined && { errorCode: ErrorCode }),
      }));
    },
    summary: async (StreamName, abortSignal) => {
      const command = new sdk.DescribeStreamSummaryCommand({ StreamName });
      const { StreamDescriptionSummary: summary } = await client.send(command, { abortSignal });
      return { status: summary?.StreamStatus ?? '', retentionHours: summary?.RetentionPeriodHours ?? 0 };
    },
    shards: async (StreamName, abortSignal) => {
      const found: Shard[] = [];
      let from: string | undefined;
      do {
        // A page names the stream or the page before, never both.
        const command = new sdk.ListShardsCommand(from === undefined ? { StreamName } : { NextToken: from });
        const { Shards = [], NextToken } = await client.send(command, { abortSignal });
        for (const { ShardId, ParentShardId, AdjacentParentShardId, SequenceNumberRange, HashKeyRange } of Shards)
          found.push({
            id: ShardId!,
            parents: [ParentShardId, AdjacentParentShardId].filter((parent) => parent !== undefined),
            isOpen: SequenceNumberRange?.EndingSequenceNumber === undefined,
            firstHashKey: HashKeyRange!.StartingHashKey!,
          });
        from = NextToken;
      } while (from !== undefined);
      return found;
    },
    iterator: async (StreamName, ShardId, start, abortSignal) => {
      const command = new sdk.GetShardIteratorCommand({
        ...{ StreamName, ShardId, ShardIteratorType: ITERATORS[start.at] },
        ...(start.at !== 'oldest' && { StartingSequenceNumber: start.sequenceNumber }),
      });
      return (await client.send(command, { abortSignal })).ShardIterator!;
    },
    read: async (ShardIterator, abortSignal) => {
      const { Records = [], NextShardIterator } = await client.send(new sdk.GetRecordsCommand({ ShardIterator }), {
        abortSignal,
      });
      const records = Records.map(({ SequenceNumber, Data }) => ({ sequenceNumber: SequenceNumber!, data: Data! }));
      return { records, next: NextShardIterator };
    },
    close: () => client.destroy(),
  };
}
