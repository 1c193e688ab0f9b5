import { Construct } from 'constructs';
import { AthenaWorkgroup } from '@cdktf/provider-aws/lib/athena-workgroup/index.js';
import { GlueCatalogDatabase } from '@cdktf/provider-aws/lib/glue-catalog-database/index.js';
import {
  GlueCatalogTable,
  type GlueCatalogTableStorageDescriptor,
} from '@cdktf/provider-aws/lib/glue-catalog-table/index.js';
import {
  HISTORY_PREFIX,
  HISTORY_TABLES,
  RAW_TABLE,
  type ColumnType,
  type WarehouseTable,
} from '../warehouse-tables.ts';
import type { AwsStack } from './aws-stack.ts';
import { verbatim } from './policy.ts';
import { PrivateBucket } from './private-bucket.ts';

/** What the results of a query are kept for. */
const RESULT_DAYS = 30;
/** One query reads no more than so much of what is priced for a month: a tenth. */
const QUERIES_A_MONTH = 10;
const BYTES_A_TB = 1e12;

const TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'string',
  byte: 'int',
  int: 'int',
  long: 'bigint',
  double: 'double',
  flag: 'boolean',
  // As the text that it is: functions for JSON take it from there.
  json: 'string',
};
const HADOOP = 'org.apache.hadoop';
const PARQUET = {
  inputFormat: `${HADOOP}.hive.ql.io.parquet.MapredParquetInputFormat`,
  outputFormat: `${HADOOP}.hive.ql.io.parquet.MapredParquetOutputFormat`,
  serDeInfo: { serializationLibrary: `${HADOOP}.hive.ql.io.parquet.serde.ParquetHiveSerDe` },
};
const JSON_LINES = {
  inputFormat: `${HADOOP}.mapred.TextInputFormat`,
  outputFormat: `${HADOOP}.hive.ql.io.HiveIgnoreKeyTextOutputFormat`,
};

interface Parts {
  readonly objects: PrivateBucket;
  readonly keyArn: string;
}

/** Athena over what is in the bucket of objects: the raw archive as it is written, and exports of the history, in a catalog of their own. */
export class AthenaWarehouse extends Construct {
  readonly #stack: AwsStack;
  readonly #objects: PrivateBucket;
  readonly #database: GlueCatalogDatabase;

  constructor(scope: AwsStack, id: string, { objects, keyArn }: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#objects = objects;
    const { names, demand, isProtected } = scope.site;
    this.#database = new GlueCatalogDatabase(this, 'catalog', {
      name: names.underscored('history'),
      description: `What ${names.base} keeps as files`,
    });
    for (const table of Object.values(HISTORY_TABLES)) this.#historyTable(table);
    this.#rawTable();
    const results = new PrivateBucket(this, 'results', scope, {
      kind: 'queries',
      keyArn,
      unreadBecause:
        'Its results can be had again by the query, and go after a month; whose query it was is in the audit trail',
      lifecycle: [
        {
          id: 'results',
          status: 'Enabled',
          filter: [{ prefix: '' }],
          expiration: [{ days: RESULT_DAYS }],
          noncurrentVersionExpiration: [{ noncurrentDays: 1 }],
        },
      ],
    });
    new AthenaWorkgroup(this, 'queries', {
      name: names.of('history', 128),
      description: 'Queries of the history, none of which may read more than its share of the budget',
      forceDestroy: !isProtected,
      configuration: {
        enforceWorkgroupConfiguration: true,
        publishCloudwatchMetricsEnabled: true,
        bytesScannedCutoffPerQuery: Math.floor((demand.queryTb * BYTES_A_TB) / QUERIES_A_MONTH),
        engineVersion: { selectedEngineVersion: 'Athena engine version 3' },
        resultConfiguration: {
          outputLocation: `s3://${results.bucket}/`,
          expectedBucketOwner: scope.account,
          encryptionConfiguration: { encryptionOption: 'SSE_KMS', kmsKeyArn: keyArn },
        },
      },
    });
  }

  #historyTable(table: WarehouseTable): void {
    this.#table(table, {
      columns: columnsOf(table),
      location: `s3://${this.#objects.bucket}/${HISTORY_PREFIX}${table.name}/`,
      ...PARQUET,
    });
  }

  /** Its partitions are the folders of the archive, which are computed: nothing has to look for new ones. A query names the site. */
  #rawTable(): void {
    const { tenants, retention } = this.#stack.site.environment;
    const location = `s3://${this.#objects.bucket}/raw/`;
    const names = Object.keys(RAW_TABLE.columns);
    this.#table(
      RAW_TABLE,
      {
        columns: columnsOf(RAW_TABLE),
        location,
        ...JSON_LINES,
        serDeInfo: {
          serializationLibrary: 'org.openx.data.jsonserde.JsonSerDe',
          // Names of columns have no capital letters, those of the lines do.
          parameters: Object.fromEntries(names.map((name) => [`mapping.${name.toLowerCase()}`, name])),
        },
      },
      {
        partitions: ['tenant', 'site', 'day', 'hour'],
        parameters: {
          'projection.enabled': 'true',
          'projection.tenant.type': 'enum',
          'projection.tenant.values': tenants.join(','),
          'projection.site.type': 'injected',
          'projection.day.type': 'date',
          'projection.day.format': 'yyyy-MM-dd',
          'projection.day.range': `NOW-${retention.rawArchiveDays}DAYS,NOW`,
          'projection.hour.type': 'integer',
          'projection.hour.range': '0,23',
          'projection.hour.digits': '2',
          'storage.location.template': `${location}${verbatim('${tenant}/${site}/${day}/${hour}/')}`,
        },
      },
    );
  }

  #table(
    { name, means }: WarehouseTable,
    storageDescriptor: GlueCatalogTableStorageDescriptor,
    {
      partitions = [],
      parameters = {},
    }: { readonly partitions?: readonly string[]; readonly parameters?: Readonly<Record<string, string>> } = {},
  ): void {
    new GlueCatalogTable(this, name.replaceAll('_', '-'), {
      databaseName: this.#database.name,
      name,
      description: means,
      tableType: 'EXTERNAL_TABLE',
      parameters: { EXTERNAL: 'TRUE', ...parameters },
      partitionKeys: partitions.map((key) => ({ name: key, type: key === 'hour' ? 'int' : 'string' })),
      storageDescriptor,
    });
  }
}

function columnsOf({ columns }: WarehouseTable) {
  return Object.entries(columns).map(([name, type]) => ({ name: name.toLowerCase(), type: TYPES[type] }));
}
