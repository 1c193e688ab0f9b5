import { Construct } from 'constructs';
import { DbInstance } from '@cdktf/provider-aws/lib/db-instance/index.js';
import { DbParameterGroup } from '@cdktf/provider-aws/lib/db-parameter-group/index.js';
import { DbSubnetGroup } from '@cdktf/provider-aws/lib/db-subnet-group/index.js';
import type { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { AwsStack } from './aws-stack.ts';
import { databaseClass, databaseStorage } from './database-class.ts';
import { GeneratedSecret } from './generated-secret.ts';
import { guardedPort } from './guarded-port.ts';
import { logGroup } from './log-group.ts';
import type { Network } from './network.ts';
import type { PostgresSection } from './ports.ts';

const PORT = 5432;
/** Supported until 2029; minor versions come in the maintenance window. */
const MAJOR_VERSION = '17';
const USER = 'tribo';
const LOGS = ['postgresql', 'upgrade'] as const;
/** Counted up to give the database, and the secret, a new password. */
const PASSWORD_VERSION = 1;

const LARGEST_STORAGE_GB = 65_536;

/** Where the image has the authorities of RDS: the certificate of the server is one of theirs. */
const AUTHORITIES = '/etc/tribo/rds-authorities.pem';

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

  constructor(
    scope: AwsStack,
    id: string,
    { network, keyArn }: { readonly network: Network; readonly keyArn: string },
  ) {
    super(scope, id);
    const { site } = scope;
    const { names, environment, isProtected } = site;
    const { retention, switches } = environment;
    this.identifier = names.of('database', 63);
    const { clients, server } = guardedPort(this, {
      ...{ names, network, port: PORT },
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
    });
    this.passwordSecretArn = password.arn;
    const logs = LOGS.map((log) => {
      const name = `/aws/rds/instance/${this.identifier}/${log}`;
      return logGroup(this, `${log}-log`, site, { name, keyArn });
    });
    const storageGb = databaseStorage(site);
    const database = new DbInstance(this, 'server-instance', {
      identifier: this.identifier,
      engine: 'postgres',
      engineVersion: MAJOR_VERSION,
      autoMinorVersionUpgrade: true,
      allowMajorVersionUpgrade: false,
      instanceClass: databaseClass(site),
      dbName: 'tribo',
      username: USER,
      port: PORT,
      passwordWoVersion: PASSWORD_VERSION,
      storageType: 'gp3',
      allocatedStorage: storageGb,
      // It grows by itself when a tenth is left, so a load above the plan fills no disk.
      maxAllocatedStorage: Math.min(storageGb * 3, LARGEST_STORAGE_GB),
      storageEncrypted: true,
      kmsKeyId: keyArn,
      multiAz: switches.multiAz,
      publiclyAccessible: false,
      dbSubnetGroupName: new DbSubnetGroup(this, 'subnets', {
        name: this.identifier,
        description: 'The subnets of the data, from which no route leads out',
        subnetIds: network.subnets.data.map((subnet) => subnet.id),
      }).name,
      vpcSecurityGroupIds: [server.id],
      parameterGroupName: this.#parameters(scope).name,
      caCertIdentifier: 'rds-ca-rsa2048-g1',
      backupRetentionPeriod: retention.backupDays,
      backupWindow: '03:00-04:00',
      maintenanceWindow: 'mon:04:30-mon:05:30',
      copyTagsToSnapshot: true,
      deleteAutomatedBackups: !isProtected,
      deletionProtection: isProtected,
      skipFinalSnapshot: !isProtected,
      ...(isProtected && { finalSnapshotIdentifier: names.of('last', 255) }),
      enabledCloudwatchLogsExports: [...LOGS],
      performanceInsightsEnabled: true,
      performanceInsightsKmsKeyId: keyArn,
      performanceInsightsRetentionPeriod: 7,
      applyImmediately: !isProtected,
      // Without them RDS makes groups of its own, which keep logs for ever.
      dependsOn: logs,
      lifecycle: { preventDestroy: isProtected },
    });
    // Write-only and ephemeral: the password is in no state and in no plan.
    database.addOverride('password_wo', password.value);
    acknowledge(database, {
      CKV_AWS_118:
        'What a statement waits for is in Performance Insights, and load, memory and storage are in CloudWatch',
      CKV_AWS_161:
        'The adapters sign in with a password that is in no state, over TLS and from their security group alone',
      ...(!switches.multiAz && { CKV_AWS_157: 'A copy in another zone is bought by switches.multiAz' }),
      ...(!isProtected && { CKV_AWS_293: 'In dev alone, where a site is taken down again' }),
    });
    this.arn = database.arn;
    this.section = { host: database.address, port: PORT, database: 'tribo', user: USER, tlsCaFile: AUTHORITIES };
  }

  #parameters({ site: { names } }: AwsStack): DbParameterGroup {
    return new DbParameterGroup(this, 'parameters', {
      name: names.of(`postgres${MAJOR_VERSION}`),
      family: `postgres${MAJOR_VERSION}`,
      description: 'TLS alone; statements that take long are in the log',
      parameter: [
        { name: 'rds.force_ssl', value: '1', applyMethod: 'immediate' },
        { name: 'log_min_duration_statement', value: '1000', applyMethod: 'immediate' },
      ],
    });
  }
}
