import { Construct } from 'constructs';
import { DynamodbTable } from '@cdktf/provider-aws/lib/dynamodb-table/index.js';
import type { Site } from '../site.ts';

/** A table with the keys that the adapters' state has: `pk` and `sk`, both strings. */
export class StateTable extends Construct {
  readonly name: string;

  constructor(
    scope: Construct,
    id: string,
    { site, part, keyArn }: { readonly site: Site; readonly part: string; readonly keyArn: string },
  ) {
    super(scope, id);
    this.name = site.names.of(part);
    new DynamodbTable(this, 'table', {
      name: this.name,
      // Leases are renewed at an even pace, but a start or a takeover writes many at a time.
      billingMode: 'PAY_PER_REQUEST',
      hashKey: 'pk',
      rangeKey: 'sk',
      attribute: [
        { name: 'pk', type: 'S' },
        { name: 'sk', type: 'S' },
      ],
      serverSideEncryption: { enabled: true, kmsKeyArn: keyArn },
      pointInTimeRecovery: { enabled: true, recoveryPeriodInDays: site.environment.retention.backupDays },
      deletionProtectionEnabled: site.isProtected,
      lifecycle: { preventDestroy: site.isProtected },
    });
  }
}
