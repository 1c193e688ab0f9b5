import { TerraformDataSource, TerraformResource, Aspects, Fn, type IAspect, type TerraformProvider } from 'cdktf';
import { Construct, type IConstruct } from 'constructs';
import { BackupVault } from '@cdktf/provider-aws/lib/backup-vault/index.js';
import { CloudwatchMetricAlarm } from '@cdktf/provider-aws/lib/cloudwatch-metric-alarm/index.js';
import { DataAwsAvailabilityZones } from '@cdktf/provider-aws/lib/data-aws-availability-zones/index.js';
import { DbInstance } from '@cdktf/provider-aws/lib/db-instance/index.js';
import { DbSubnetGroup } from '@cdktf/provider-aws/lib/db-subnet-group/index.js';
import { DefaultSecurityGroup } from '@cdktf/provider-aws/lib/default-security-group/index.js';
import { EcrReplicationConfiguration } from '@cdktf/provider-aws/lib/ecr-replication-configuration/index.js';
import { EcrRepositoryCreationTemplate } from '@cdktf/provider-aws/lib/ecr-repository-creation-template/index.js';
import { IamRole } from '@cdktf/provider-aws/lib/iam-role/index.js';
import { IamRolePolicy } from '@cdktf/provider-aws/lib/iam-role-policy/index.js';
import { AwsProvider } from '@cdktf/provider-aws/lib/provider/index.js';
import { SecurityGroup } from '@cdktf/provider-aws/lib/security-group/index.js';
import { Subnet } from '@cdktf/provider-aws/lib/subnet/index.js';
import { Vpc } from '@cdktf/provider-aws/lib/vpc/index.js';
import { regionsAt } from '../../core/decision/environment-rules.ts';
import type { Environment } from '../../core/decision/environment.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import { subnetRange } from '../subnet-range.ts';
import type { AwsStack } from './aws-stack.ts';
import { BucketReplication } from './bucket-replication.ts';
import { databaseClass } from './database-class.ts';
import { databaseSettings } from './database-settings.ts';
import { EncryptionKey } from './encryption-key.ts';
import { keepFlows } from './flow-log.ts';
import { Operators } from './operators.ts';
import { policy, trust } from './policy.ts';
import type { PostgresDatabase } from './postgres-database.ts';
import { PrivateBucket, type BucketRules } from './private-bucket.ts';

/** A subnet group of RDS wants two. */
const ZONES = 2;
/** Somebody is called long before a quarter of an hour, which is what may be lost (R176). */
const LATE_S = 300;
const LATE_MINUTES = 5;

/** Where the copies are: by its name, with the range of its network. */
export interface SecondPlace {
  readonly region: string;
  readonly range: string;
}

/**
 * The environment's second region at AWS, by `switches.secondRegion`. @throws Error where it has none, or no range of addresses: what the
 * environment's own checks refuse.
 */
export function secondPlace(environment: Environment): SecondPlace | undefined {
  if (!environment.switches.secondRegion) return undefined;
  const region = regionsAt(environment, 'aws')[1]?.name;
  const range = environment.regions[1]?.range;
  if (region === undefined || range === undefined)
    throw new Error('switches.secondRegion wants regions[1], with its name at AWS and its range');
  return { region, range };
}

/**
 * What is left should the first region be away: a copy of the database that follows it within seconds, of each object within a quarter of an
 * hour, of the day's backups, of images and of the password; a network that nothing leads into or out of until the copy is the database.
 */
export class SecondRegion extends Construct {
  readonly region: string;
  readonly keyArn: string;
  readonly backupVaultArn: string;
  readonly #stack: AwsStack;
  /** All below it is in the second region. */
  readonly #there: Construct;
  readonly #vpc: Vpc;
  readonly #subnets: readonly Subnet[];
  readonly #topicArn: string;

  constructor(scope: AwsStack, id: string, { region, range }: SecondPlace) {
    super(scope, id);
    const { names, isProtected } = scope.site;
    this.region = region;
    this.#stack = scope;
    this.#there = new Construct(this, 'there');
    const provider = new AwsProvider(this, 'provider', {
      alias: 'second',
      region,
      ...scope.ownAccount,
    });
    Aspects.of(this.#there).add(new InRegion(provider));
    const key = new EncryptionKey(this.#there, 'key', scope, region);
    this.keyArn = key.arn;
    this.#vpc = this.#network(range);
    this.#subnets = this.#subnetsOf(range);
    const vault = new BackupVault(this.#there, 'backups', {
      name: names.of('second', 50),
      kmsKeyArn: key.arn,
      forceDestroy: !isProtected,
      lifecycle: { preventDestroy: isProtected },
    });
    this.backupVaultArn = vault.arn;
    const { topicArn } = new Operators(this.#there, 'operators', scope, { keyArn: key.arn, part: 'second-operators' });
    this.#topicArn = topicArn;
    this.#images();
  }

  /** A database of its own that takes what the first writes, and becomes the database when somebody says so. */
  copyDatabase({ arn }: PostgresDatabase): void {
    const { site } = this.#stack;
    const { names } = site;
    const identifier = names.of('database-second', 63);
    const scope = new Construct(this.#there, 'database');
    const server = new SecurityGroup(scope, 'server', {
      name: identifier,
      description: 'The copy of the database, which nobody connects to while it is one',
      vpcId: this.#vpc.id,
      tags: { Name: identifier },
    });
    const replica = new DbInstance(scope, 'replica', {
      ...databaseSettings(scope, { site, identifier, keyArn: this.keyArn }),
      replicateSourceDb: arn,
      instanceClass: databaseClass(site),
      dbSubnetGroupName: new DbSubnetGroup(scope, 'subnets', {
        name: identifier,
        description: 'The subnets of the copy, from which no route leads out',
        subnetIds: this.#subnets.map((subnet) => subnet.id),
      }).name,
      vpcSecurityGroupIds: [server.id],
      // Of a copy RDS takes no last snapshot.
      skipFinalSnapshot: true,
    });
    acknowledge(replica, {
      CKV_AWS_118:
        'What a statement waits for is in Performance Insights, and load, memory and storage are in CloudWatch',
      CKV_AWS_157: 'It is itself the copy elsewhere, and is in one zone as it was priced',
    });
    new CloudwatchMetricAlarm(scope, 'late', {
      alarmName: names.of('database-second-late'),
      alarmDescription:
        'The copy of the database in the second region is minutes behind, or away: so much would be lost with the first',
      namespace: 'AWS/RDS',
      metricName: 'ReplicaLag',
      dimensions: { DBInstanceIdentifier: replica.identifier },
      statistic: 'Maximum',
      threshold: LATE_S,
      comparisonOperator: 'GreaterThanThreshold',
      period: 60,
      evaluationPeriods: LATE_MINUTES,
      datapointsToAlarm: LATE_MINUTES,
      treatMissingData: 'breaching',
      alarmActions: [this.#topicArn],
      okActions: [this.#topicArn],
    });
  }

  /** A bucket with the same rules, that gets each object; what is deleted by hand is deleted there only where `isDeletedThere`. */
  copyBucket(
    kind: string,
    from: PrivateBucket,
    { lifecycle, isDeletedThere }: BucketRules & { readonly isDeletedThere: boolean },
  ): void {
    const to = new PrivateBucket(this.#there, kind, this.#stack, {
      ...{ kind: `${kind}-2`, keyArn: this.keyArn, lifecycle, isCopy: true as const },
      unreadBecause: 'Nobody reads it but whoever takes over from the first region; S3 itself writes it',
    });
    new BucketReplication(this, `${kind}-replication`, this.#stack, {
      ...{ kind, from, to, isDeletedThere },
      ...{ region: this.region, keyArn: this.keyArn },
    });
  }

  /** Without a way in or out: RDS brings what the first database wrote by itself. */
  #network(range: string): Vpc {
    const { names } = this.#stack.site;
    const tags = { Name: names.of('second') };
    const vpc = new Vpc(this.#there, 'vpc', {
      cidrBlock: range,
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags,
    });
    new DefaultSecurityGroup(this.#there, 'default-security-group', { vpcId: vpc.id, ingress: [], egress: [] });
    keepFlows(this.#there, {
      ...{ stack: this.#stack, vpcId: vpc.id, keyArn: this.keyArn },
      ...{ region: this.region, part: 'second-network' },
    });
    return vpc;
  }

  #subnetsOf(range: string): readonly Subnet[] {
    const { names } = this.#stack.site;
    const zones = new DataAwsAvailabilityZones(this.#there, 'zones', {
      state: 'available',
      filter: [{ name: 'opt-in-status', values: ['opt-in-not-required'] }],
    });
    acknowledge(zones, { CKV_AWS_394: 'The first of them by name are taken, before any that AWS adds' });
    return Array.from(
      { length: ZONES },
      (_, zone) =>
        new Subnet(this.#there, `data-${zone}`, {
          vpcId: this.#vpc.id,
          availabilityZone: Fn.element(zones.names, zone) as string,
          cidrBlock: subnetRange(range, zone),
          mapPublicIpOnLaunch: false,
          tags: { Name: names.of(`second-data-${zone}`) },
        }),
    );
  }

  /** What replication is of is said once for all repositories of the account. */
  #images(): void {
    const { names } = this.#stack.site;
    new EcrReplicationConfiguration(this, 'images', {
      replicationConfiguration: {
        rule: [
          {
            destination: [{ region: this.region, registryId: this.#stack.account }],
            repositoryFilter: [{ filter: `${names.base}/`, filterType: 'PREFIX_MATCH' }],
          },
        ],
      },
    });
    new EcrRepositoryCreationTemplate(this.#there, 'repositories', {
      prefix: names.base,
      description: `Images of ${names.base} that are copied here`,
      appliedFor: ['REPLICATION'],
      imageTagMutability: 'IMMUTABLE',
      encryptionConfiguration: [{ encryptionType: 'KMS', kmsKey: this.keyArn }],
      customRoleArn: this.#imagesRole(),
    });
  }

  /**
   * By which ECR makes a repository there with the key: without it ECR takes one of its own. The trust is as ECR documents it, without a condition.
   * https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-custom.html
   */
  #imagesRole(): string {
    const { names } = this.#stack.site;
    const role = new IamRole(this.#there, 'images-role', {
      name: names.of('second-images', 64),
      description: `Makes the repositories of ${names.base} in ${this.region}`,
      assumeRolePolicy: trust('ecr.amazonaws.com'),
    });
    new IamRolePolicy(this.#there, 'images-rights', {
      name: 'make-repositories',
      role: role.id,
      policy: policy([
        {
          Effect: 'Allow',
          Action: ['ecr:CreateRepository', 'ecr:ReplicateImage'],
          Resource: [this.#stack.arn('ecr', `repository/${names.base}/*`, this.region)],
        },
        { Effect: 'Allow', Action: ['kms:CreateGrant', 'kms:RetireGrant', 'kms:DescribeKey'], Resource: [this.keyArn] },
      ]),
    });
    return role.arn;
  }
}

/** Puts all that is below where it is added into the region of a provider. */
class InRegion implements IAspect {
  readonly #provider: TerraformProvider;

  constructor(provider: TerraformProvider) {
    this.#provider = provider;
  }

  visit(node: IConstruct): void {
    if (TerraformResource.isTerraformResource(node) || TerraformDataSource.isTerraformDataSource(node))
      node.provider = this.#provider;
  }
}
