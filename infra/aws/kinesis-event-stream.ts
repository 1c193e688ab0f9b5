import { Construct } from 'constructs';
import type { KinesisStream } from '@cdktf/provider-aws/lib/kinesis-stream/index.js';
import { shardsFor } from '../../core/decision/aws-plan.ts';
import type { AwsStack } from './aws-stack.ts';
import { kinesisStreams } from './kinesis-streams.ts';
import type { EventStreamSection } from './ports.ts';
import { StateTable } from './state-table.ts';

const HOUR_MS = 3_600_000;
/** The adapter's own; more shards than lanes are of no use. */
const FEWEST_LANES = 16;

/** The platform's streams, and the table in which their groups keep leases, checkpoints and counts. */
export class KinesisEventStream extends Construct {
  /** By the platform's name of them. */
  readonly streams: Readonly<Record<string, KinesisStream>>;
  readonly state: StateTable;
  readonly section: EventStreamSection;

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    const { demand, environment } = scope.site;
    const sizes = demand.streams.map((flow) => ({ name: flow.stream, shards: shardsFor(flow, demand.peakFactor) }));
    this.streams = kinesisStreams(this, scope.site, sizes, keyArn);
    this.state = new StateTable(this, 'state', { site: scope.site, part: 'streams', keyArn });
    this.section = {
      streams: Object.fromEntries(Object.entries(this.streams).map(([name, stream]) => [name, stream.nameInput!])),
      stateTable: this.state.name,
      retentionMs: environment.retention.streamHours * HOUR_MS,
      lanes: Math.max(FEWEST_LANES, ...sizes.map(({ shards }) => shards)),
    };
  }
}
