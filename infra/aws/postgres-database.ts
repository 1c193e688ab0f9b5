import { Construct } from 'constructs';
import { DbInstance } from '@cdktf/provider-aws/lib/db-instance/index.js';
import { DbSubnetGroup } from '@cdktf/provider-aws/lib/db-subnet-group/index.js';
import type { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import { databaseClass, databaseConnections, databaseStorage } from './database-class.ts';
import { databaseSettings, MAJOR_VERSION } from './database-settings.ts';
import { GeneratedSecret } from './generated-secret.ts';
import { guardedPort } from './guarded-port.ts';
import type { Network } from './network.ts';
import type { PostgresSection } from './ports.ts';

/** Where it answers its clients. */
export const DATABASE_PORT = 5432;
const USER = 'tribo';
/** Counted up to give the database, and the secret, a new password. */
const PASSWORD_VERSION = 1;

/** Where the image has the authorities of RDS: the certificate of the server is one of theirs. */
const AUTHORITIES = '/etc/tribo/rds-authorities.pem';

interface DatabaseParts {
  readonly network: Network;
  readonly keyArn: string;
  /** Where the password is besides, with a key of that region. */
  readonly second?: { readonly region: string; readonly keyArn: string } | undefined;
}

/**
 * PostgreSQL, whose plain tables are all that the adapters need: no extension that RDS does not have. It answers those alone that carry the
 * security group of its clients, by TLS alone.
 */
export class PostgresDatabase extends Construct {
  /** Whoever carries it may connect. */
  readonly clients: SecurityGroup;
  readonly passwordSecretArn: string;
  readonly identifier: string;
  readonly arn: string;
  readonly section: PostgresSection;

  constructor(scope: AwsStack, id: string, { network, keyArn, second }: DatabaseParts) {
    super(scope, id);
    const { site } = scope;
    const { names, environment, isProtected } = site;
    const { switches } = environment;
    this.identifier = names.of('database', 63);
    const { clients, server } = guardedPort(this, {
      ...{ names, network, port: DATABASE_PORT },
      ...{ name: 'database', protocol: 'PostgreSQL', what: 'the database' },
    });
    this.clients = clients;
    // Outside of the path of the site's secret store: no service may change it.
    const password = new GeneratedSecret(scope, this, 'password', {
      name: 'database-password',
      description: `Of the user ${USER} of ${this.identifier}`,
      keyArn,
      version: PASSWORD_VERSION,
      recoveryWindowInDays: isProtected ? 30 : 0,
      copyTo: second,
    });
    this.passwordSecretArn = password.arn;
    const database = new DbInstance(this, 'server-instance', {
      ...databaseSettings(this, { site, identifier: this.identifier, keyArn }),
      engine: 'postgres',
      engineVersion: MAJOR_VERSION,
      allowMajorVersionUpgrade: false,
      instanceClass: databaseClass(site),
      dbName: 'tribo',
      username: USER,
      port: DATABASE_PORT,
      passwordWoVersion: PASSWORD_VERSION,
      allocatedStorage: databaseStorage(site),
      multiAz: switches.multiAz,
      dbSubnetGroupName: new DbSubnetGroup(this, 'subnets', {
        name: this.identifier,
        description: 'The subnets of the data, from which no route leads out',
        subnetIds: network.subnets.data.map((subnet) => subnet.id),
      }).name,
      vpcSecurityGroupIds: [server.id],
      skipFinalSnapshot: !isProtected,
      ...(isProtected && { finalSnapshotIdentifier: names.of('last', 255) }),
    });
    // Write-only and ephemeral: the password is in no state and in no plan.
    database.addOverride('password_wo', password.value);
    password.writtenAfter(database);
    acknowledge(database, {
      CKV_AWS_118:
        'What a statement waits for is in Performance Insights, and load, memory and storage are in CloudWatch',
      CKV_AWS_161:
        'The adapters sign in with a password that is in no state, over TLS and from their security group alone',
      ...(!switches.multiAz && { CKV_AWS_157: 'A copy in another zone is bought by switches.multiAz' }),
      ...(!isProtected && { CKV_AWS_293: 'In dev alone, where a site is taken down again' }),
    });
    this.arn = database.arn;
    this.section = {
      host: database.address,
      port: DATABASE_PORT,
      database: 'tribo',
      user: USER,
      tlsCaFile: AUTHORITIES,
      maxConnections: databaseConnections(site).pool,
    };
  }
}
