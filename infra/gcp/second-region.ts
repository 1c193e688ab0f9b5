import { Construct } from 'constructs';
import { SqlDatabaseInstance } from '@cdktf/provider-google/lib/sql-database-instance/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import { DATABASE_EXCEPTIONS, DATABASE_VERSION, databaseSettings } from './database-settings.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { Network } from './network.ts';
import type { PostgresDatabase } from './postgres-database.ts';
import { databaseName } from './resource-names.ts';
import type { SecondKeys } from './second-keys.ts';

interface Parts {
  readonly second: SecondKeys;
  readonly network: Network;
  readonly database: PostgresDatabase;
}

/**
 * What is in the second region alone: a copy of the database, which takes what the first writes and becomes the database when somebody says so. The
 * network is of all regions at Google, so that the copy is in it. Buckets, secrets, streams and images are in both regions, where each is made.
 */
export class SecondRegion extends Construct {
  readonly replica: SqlDatabaseInstance;

  constructor(scope: GcpStack, id: string, { second, network, database }: Parts) {
    super(scope, id);
    const { site } = scope;
    const { isProtected } = site;
    this.replica = new SqlDatabaseInstance(this, 'replica', {
      name: databaseName(site, second.place.region),
      region: second.place.region,
      masterInstanceName: database.instance.name,
      databaseVersion: DATABASE_VERSION,
      encryptionKeyName: second.there.keyName,
      deletionProtection: isProtected,
      settings: {
        ...databaseSettings(site, network, 'second'),
        // It is itself the copy elsewhere, and is in one zone as it was priced.
        availabilityType: 'ZONAL',
      },
      // It grows with the first, which is not made smaller again.
      lifecycle: { preventDestroy: isProtected, ignoreChanges: ['settings[0].disk_size'] },
    });
    acknowledge(this.replica, DATABASE_EXCEPTIONS);
  }
}
