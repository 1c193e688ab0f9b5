import { Construct } from 'constructs';
import type { KinesisStream } from '@cdktf/provider-aws/lib/kinesis-stream/index.js';
import { devicesStream, shardsFor } from '../../core/decision/aws-plan.ts';
import type { AwsStack } from './aws-stack.ts';
import { kinesisStreams } from './kinesis-streams.ts';
import { StateTable } from './state-table.ts';

/**
 * What the rules of IoT Core write and the gateway reads, with the table of its leases and commands: it holds what devices were told is taken,
 * so it is with the data. What a rule could not put into the first stream is in the second.
 */
export class DeviceStreams extends Construct {
  readonly messages: KinesisStream;
  readonly errors: KinesisStream;
  readonly state: StateTable;

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    const { demand } = scope.site;
    const shards = shardsFor(devicesStream(demand), demand.peakFactor);
    const sizes = [
      { name: 'devices', shards },
      { name: 'device-errors', shards: 1 },
    ];
    const streams = kinesisStreams(this, scope.site, sizes, keyArn);
    this.messages = streams['devices']!;
    this.errors = streams['device-errors']!;
    this.state = new StateTable(this, 'state', { site: scope.site, part: 'devices', keyArn });
  }
}
