import { KinesisStream } from '@cdktf/provider-aws/lib/kinesis-stream/index.js';
import type { Construct } from 'constructs';
import type { Site } from '../site.ts';

/** What two streams of a site differ in. */
export interface StreamSize {
  readonly name: string;
  readonly shards: number;
}

/** Streams of the site by name: provisioned, so that their price is the one that was decided upon, encrypted, and kept as long as an outage may last. */
export function kinesisStreams(
  scope: Construct,
  { names, environment, isProtected }: Site,
  sizes: readonly StreamSize[],
  keyArn: string,
): Readonly<Record<string, KinesisStream>> {
  const streams = sizes.map(({ name, shards }) => {
    const stream = new KinesisStream(scope, name, {
      name: names.of(name, 128),
      shardCount: shards,
      retentionPeriod: environment.retention.streamHours,
      streamModeDetails: { streamMode: 'PROVISIONED' },
      encryptionType: 'KMS',
      kmsKeyId: keyArn,
      lifecycle: { preventDestroy: isProtected },
    });
    return [name, stream] as const;
  });
  return Object.fromEntries(streams);
}
