import { TerraformOutput } from 'cdktf';
import { Construct } from 'constructs';
import { BigqueryConnection } from '@cdktf/provider-google/lib/bigquery-connection/index.js';
import { BigqueryDataset } from '@cdktf/provider-google/lib/bigquery-dataset/index.js';
import {
  BigqueryTable,
  type BigqueryTableExternalDataConfiguration,
} from '@cdktf/provider-google/lib/bigquery-table/index.js';
import { CloudQuotasQuotaPreference } from '@cdktf/provider-google/lib/cloud-quotas-quota-preference/index.js';
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js';
import type { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js';
import { StorageBucketIamMember } from '@cdktf/provider-google/lib/storage-bucket-iam-member/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import {
  HISTORY_PREFIX,
  HISTORY_TABLES,
  RAW_TABLE,
  type ColumnType,
  type WarehouseTable,
} from '../warehouse-tables.ts';
import type { GcpStack } from './gcp-stack.ts';

/** The queries of a day read no more than so much of what is priced for a month: a tenth. */
const BOUNDED_DAYS_A_MONTH = 10;
/** BigQuery counts what is read of a day in these. */
const MIB_A_TIB = 2 ** 20;

const TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'STRING',
  byte: 'INTEGER',
  int: 'INTEGER',
  long: 'INTEGER',
  double: 'FLOAT',
  flag: 'BOOLEAN',
  json: 'JSON',
};

/** Which files a table is over, and how they are read. */
type Files = Pick<
  BigqueryTableExternalDataConfiguration,
  'sourceFormat' | 'sourceUris' | 'compression' | 'ignoreUnknownValues'
>;

interface Parts {
  readonly objects: StorageBucket;
  readonly keyName: string;
}

/**
 * BigQuery over what is in the bucket of objects: the raw archive as it is written, and exports of the history, in a dataset of their own. It reads
 * the files by an account of a connection, so that whoever asks has a right to the tables and none to the bucket.
 */
export class BigqueryWarehouse extends Construct {
  readonly #stack: GcpStack;
  readonly #objects: StorageBucket;
  readonly #dataset: BigqueryDataset;
  readonly #connection: BigqueryConnection;
  readonly #access: StorageBucketIamMember;

  constructor(scope: GcpStack, id: string, { objects, keyName }: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#objects = objects;
    const { names, region, isProtected } = scope.site;
    this.#dataset = new BigqueryDataset(this, 'dataset', {
      datasetId: names.underscored('history'),
      description: `What ${names.base} keeps as files`,
      location: region,
      defaultEncryptionConfiguration: { kmsKeyName: keyName },
      // No expiry by default: it would delete the tables, whose files expire by themselves. And by default whoever may read the project might ask.
      access: [{ role: 'OWNER', specialGroup: 'projectOwners' }],
      deleteContentsOnDestroy: !isProtected,
      lifecycle: { preventDestroy: isProtected },
    });
    this.#connection = new BigqueryConnection(this, 'connection', {
      connectionId: names.of('history', 63),
      location: region,
      description: `Reads the files of ${names.base}, and nothing else`,
      cloudResource: {},
    });
    this.#access = new StorageBucketIamMember(this, 'reads', {
      bucket: objects.name,
      role: 'roles/storage.objectViewer',
      member: `serviceAccount:${this.#connection.cloudResource.serviceAccountId}`,
    });
    for (const table of Object.values(HISTORY_TABLES)) this.#historyTable(table);
    this.#rawTable();
    this.#boundQueries();
    this.#reader();
  }

  #historyTable(table: WarehouseTable): void {
    this.#table(table, {
      sourceFormat: 'PARQUET',
      sourceUris: [`gs://${this.#objects.name}/${HISTORY_PREFIX}${table.name}/*`],
    });
  }

  /** Its folders are no partitions, as BigQuery takes none that do not say their key: a query tells site and hour by `_FILE_NAME`. */
  #rawTable(): void {
    this.#table(RAW_TABLE, {
      sourceFormat: 'NEWLINE_DELIMITED_JSON',
      sourceUris: [`gs://${this.#objects.name}/raw/*`],
      compression: 'GZIP',
      // A key that a later writer adds makes no line unreadable.
      ignoreUnknownValues: true,
    });
  }

  #table({ name, means, columns }: WarehouseTable, files: Files): void {
    const { isProtected } = this.#stack.site;
    const table = new BigqueryTable(this, name.replaceAll('_', '-'), {
      datasetId: this.#dataset.datasetId,
      tableId: name,
      description: means,
      // Given, and not found in the files: there is none yet when the table is made.
      schema: JSON.stringify(Object.entries(columns).map(([column, type]) => ({ name: column, type: TYPES[type] }))),
      externalDataConfiguration: { autodetect: false, connectionId: this.#connection.name, ...files },
      deletionProtection: isProtected,
      dependsOn: [this.#access],
    });
    acknowledge(table, {
      CKV_GCP_80:
        'It holds nothing: its files are encrypted with the key of their bucket, and what the dataset holds too',
      ...(!isProtected && { CKV_GCP_121: 'It is, but in dev, which is destroyed and made again' }),
    });
  }

  /** BigQuery has no bound of one query but what the asker gives with it. This one is the project's, of all who ask in a day. */
  #boundQueries(): void {
    const { project, site } = this.#stack;
    new CloudQuotasQuotaPreference(this, 'query-bound', {
      parent: `projects/${project}`,
      name: site.names.of('queries', 63),
      service: 'bigquery.googleapis.com',
      quotaId: 'QueryUsagePerDay',
      quotaConfig: { preferredValue: String(Math.floor((site.demand.queryTb * MIB_A_TIB) / BOUNDED_DAYS_A_MONTH)) },
      // From 200 TiB it is a long way down, which Google takes for a mistake otherwise.
      ignoreSafetyChecks: 'QUOTA_DECREASE_PERCENTAGE_TOO_HIGH',
    });
  }

  /** What whoever asks may do beside starting queries: nobody has it before somebody is given it. */
  #reader(): void {
    const { project, site } = this.#stack;
    const role = new ProjectIamCustomRole(this, 'reader', {
      roleId: site.names.underscored('read-history', 64),
      title: site.names.of('read-history', 100),
      description: 'Reads the tables of the history',
      permissions: ['bigquery.datasets.get', 'bigquery.tables.get', 'bigquery.tables.getData', 'bigquery.tables.list'],
      stage: 'GA',
    });
    const dataset = `projects/${project}/datasets/${this.#dataset.datasetId}`;
    new TerraformOutput(this.#stack, 'history-reader', {
      value: {
        role: role.name,
        condition: {
          title: 'history',
          description: 'The dataset of the history, and its tables',
          expression: [
            `(resource.type == "bigquery.googleapis.com/Dataset" && resource.name == "${dataset}")`,
            `(resource.type == "bigquery.googleapis.com/Table" && resource.name.startsWith("${dataset}/tables/"))`,
          ].join(' || '),
        },
      },
      description: 'What whoever asks questions of the history is given, beside starting queries',
      staticId: true,
    }).overrideLogicalId('history_reader');
  }
}
