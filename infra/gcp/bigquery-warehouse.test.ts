import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { demandOf } from '../../core/decision/demand.ts';
import { planGcp } from '../../core/decision/gcp-plan.ts';
import { loadPrices } from '../../services/shared/environments/environment-files.ts';
import { changed, notMade, shipped, synthesized, type Attributes, type Synthesized } from '../testing/synthesized.ts';
import { withWarehouse } from '../testing/variations.ts';
import { HISTORY_TABLES, RAW_TABLE, type ColumnType } from '../warehouse-tables.ts';

const MIB_A_TIB = 2 ** 20;
const prod = withWarehouse(changed(shipped('gent.prod'), { accounts: { gcp: 'tribo-gent' } }));
const inProd = synthesized(prod, 'gcp');
const inDev = synthesized(withWarehouse(shipped('gent.dev')), 'gcp');
const tables = inProd.of('google_bigquery_table');
const [dataset] = inProd.of('google_bigquery_dataset');
const [connection] = inProd.of('google_bigquery_connection');

/** Of a column in the catalog, as BigQuery has it. */
const TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'STRING',
  byte: 'INTEGER',
  int: 'INTEGER',
  long: 'INTEGER',
  double: 'FLOAT',
  flag: 'BOOLEAN',
  json: 'JSON',
};

function filesOf(table: Attributes): Attributes {
  return table['external_data_configuration'] as Attributes;
}

function keyUsersOf(site: Synthesized): unknown {
  return site.one('google_kms_crypto_key_iam_binding', 'key/users')['members'];
}

describe('the warehouse', () => {
  it('is made where the environment asks for it alone, with the APIs that it takes', () => {
    expect(notMade('gcp', prod)).toEqual([]);
    const without = synthesized(shipped('gent.prod'), 'gcp');
    expect(without.resources.filter(({ type }) => type.startsWith('google_bigquery'))).toEqual([]);
    const apis = ({ service }: Attributes) => service;
    for (const api of ['bigquery', 'bigqueryconnection', 'cloudquotas']) {
      expect(inProd.of('google_project_service').map(apis)).toContain(`${api}.googleapis.com`);
      expect(without.of('google_project_service').map(apis)).not.toContain(`${api}.googleapis.com`);
    }
  });

  it('is in the region of its files, encrypted with the key of the site, which BigQuery is let use', () => {
    expect(dataset).toMatchObject({
      dataset_id: 'tribo_gent_prod_history',
      location: 'europe-west1',
      default_encryption_configuration: { kms_key_name: expect.stringContaining('google_kms_crypto_key') },
      labels: expect.objectContaining({ project: 'tribo', environment: 'prod' }),
    });
    expect(connection).toMatchObject({ connection_id: 'tribo-gent-prod-history', location: 'europe-west1' });
    const bigquery = expect.stringContaining('data.google_bigquery_default_service_account.');
    expect(keyUsersOf(inProd)).toContainEqual(bigquery);
    expect(keyUsersOf(synthesized(shipped('gent.prod'), 'gcp'))).not.toContainEqual(bigquery);
  });

  it('is open to the owners of the project alone, of whom nobody is the public', () => {
    expect(dataset!['access']).toEqual([{ role: 'OWNER', special_group: 'projectOwners' }]);
    expect(inProd.resources.filter(({ type }) => /^google_bigquery_.*_iam_|_dataset_access$/.test(type))).toEqual([]);
  });

  it('cannot be destroyed but in dev', () => {
    for (const [site, isProtected] of [
      [inProd, true],
      [inDev, false],
    ] as const) {
      expect(site.of('google_bigquery_dataset')[0]).toMatchObject({
        delete_contents_on_destroy: !isProtected,
        lifecycle: { prevent_destroy: isProtected },
      });
      for (const table of site.of('google_bigquery_table'))
        expect(table).toMatchObject({ deletion_protection: isProtected });
    }
  });

  it('has a name that the services take, whatever the site is called', () => {
    const longest = changed(shipped('gent.dev'), { site: 'a-site-of-many-letters-x', stage: 'staging' });
    const named = synthesized(withWarehouse(longest), 'gcp');
    expect(named.of('google_bigquery_dataset')[0]!['dataset_id']).toMatch(/^\w{1,1024}$/);
    expect(named.of('google_bigquery_connection')[0]!['connection_id']).toMatch(/^[a-z][a-z0-9-]{0,62}$/);
    expect(named.of('google_cloud_quotas_quota_preference')[0]!['name']).toMatch(/^[a-z][a-z0-9-]{0,62}$/);
    expect(named.one('google_project_iam_custom_role', 'warehouse/reader')['role_id']).toMatch(/^\w{3,64}$/);
  });
});

describe('its tables', () => {
  it.each([RAW_TABLE, ...Object.values(HISTORY_TABLES)])('have the columns of their files: $name', (of) => {
    const table = tables.find(({ table_id: id }) => id === of.name)!;
    expect(JSON.parse(table['schema'] as string)).toEqual(
      Object.entries(of.columns).map(([name, type]) => ({ name, type: TYPES[type] })),
    );
    expect(filesOf(table)).toMatchObject({ autodetect: false });
  });

  it('are those, and no other', () => {
    expect(tables).toHaveLength(1 + Object.keys(HISTORY_TABLES).length);
  });

  it('are, but for one, over exports in Parquet, in the folder of their name', () => {
    for (const table of tables.filter(({ table_id: id }) => id !== 'raw_messages'))
      expect(filesOf(table)).toMatchObject({
        source_format: 'PARQUET',
        source_uris: [
          expect.stringMatching(
            new RegExp(
              `^gs://\\$\\{google_storage_bucket\\.object-store_[^}]+\\.name\\}/history/${String(table['table_id'])}/\\*$`,
            ),
          ),
        ],
      });
  });

  it('are, one, over the lines of the raw archive as it is compressed, also where a later writer says more', () => {
    expect(filesOf(inProd.one('google_bigquery_table', 'warehouse/raw-messages'))).toMatchObject({
      source_format: 'NEWLINE_DELIMITED_JSON',
      source_uris: [expect.stringMatching(/^gs:\/\/\$\{google_storage_bucket\.object-store_[^}]+\.name\}\/raw\/\*$/)],
      compression: 'GZIP',
      ignore_unknown_values: true,
    });
  });

  it('do not expire, as their files do', () => {
    expect(dataset).not.toHaveProperty('default_table_expiration_ms');
    for (const table of tables) expect(table).not.toHaveProperty('expiration_time');
    const rules = inProd.one('google_storage_bucket', 'object-store/objects/bucket')['lifecycle_rule'];
    const of = (prefix: string) =>
      (rules as readonly { readonly action: Attributes; readonly condition: Attributes }[]).filter(({ condition }) =>
        ((condition['matches_prefix'] ?? []) as readonly string[]).includes(prefix),
      );
    expect(of('raw/')).toContainEqual({
      action: { type: 'Delete' },
      condition: expect.objectContaining({ age: prod.retention.rawArchiveDays, with_state: 'LIVE' }),
    });
    expect(of('history/')).toEqual([
      { action: { type: 'Delete' }, condition: expect.objectContaining({ with_state: 'ARCHIVED' }) },
    ]);
  });

  it('read their files by the account of the connection, which may read the bucket of objects and nothing else', () => {
    const account = expect.stringMatching(/^serviceAccount:\$\{google_bigquery_connection\..*service_account_id\}$/);
    for (const table of tables) {
      expect(filesOf(table)['connection_id']).toMatch(/^\$\{google_bigquery_connection\.[^}]+\.name\}$/);
      expect(table['depends_on']).toContainEqual(expect.stringContaining('google_storage_bucket_iam_member.warehouse'));
    }
    const grants = inProd.resources.filter(({ is }) =>
      /google_bigquery_connection/.test(JSON.stringify(is['member'] ?? '')),
    );
    expect(grants.map(({ type, is: { bucket, role, member } }) => ({ type, bucket, role, member }))).toEqual([
      {
        type: 'google_storage_bucket_iam_member',
        bucket: expect.stringMatching(/^\$\{google_storage_bucket\.object-store_/),
        role: 'roles/storage.objectViewer',
        member: account,
      },
    ]);
  });
});

describe('whoever asks', () => {
  it('reads the tables by a role that nobody has by itself, and that holds for this dataset alone', () => {
    const role = inProd.one('google_project_iam_custom_role', 'warehouse/reader');
    expect(role).toMatchObject({
      role_id: 'tribo_gent_prod_read_history',
      permissions: ['bigquery.datasets.get', 'bigquery.tables.get', 'bigquery.tables.getData', 'bigquery.tables.list'],
    });
    const bound = inProd.resources.filter(({ is }) => /warehouse_reader/.test(JSON.stringify(is['role'] ?? '')));
    expect(bound).toEqual([]);
    const { condition } = inProd.json.data.output!['history_reader']!.value as { readonly condition: Attributes };
    expect(condition['expression']).toMatch(
      /^\(resource\.type == "bigquery\.googleapis\.com\/Dataset" && resource\.name == "projects\/tribo-gent\/datasets\/\$\{[^}]+\.dataset_id\}"\) \|\| \(resource\.type == "bigquery\.googleapis\.com\/Table" && resource\.name\.startsWith\("projects\/tribo-gent\/datasets\/\$\{[^}]+\.dataset_id\}\/tables\/"\)\)$/,
    );
  });

  it('reads with all others together no more in a day than a tenth of what is priced for a month', () => {
    const prices = loadPrices(join(import.meta.dirname, '../../environments/prices')).gcp;
    const { lines } = planGcp(prod, demandOf(prod), prices);
    const pricedTib = lines.find(({ item }) => item === 'queryTb')!.quantity;
    expect(pricedTib).toBeGreaterThan(0);
    expect(inProd.of('google_cloud_quotas_quota_preference')).toEqual([
      expect.objectContaining({
        parent: 'projects/tribo-gent',
        service: 'bigquery.googleapis.com',
        quota_id: 'QueryUsagePerDay',
        quota_config: { preferred_value: String(Math.floor((pricedTib * MIB_A_TIB) / 10)) },
        ignore_safety_checks: 'QUOTA_DECREASE_PERCENTAGE_TOO_HIGH',
      }),
    ]);
  });

  it('is in the audit trail with each query, and its reads in the log of the bucket', () => {
    // BigQuery writes who read what by itself, and lets nobody switch that off.
    expect(inProd.one('google_logging_project_sink', 'audit-store/trail')['filter']).toBe(
      'logName:"cloudaudit.googleapis.com"',
    );
    expect(inProd.one('google_storage_bucket', 'object-store/objects/bucket')['logging']).toMatchObject({
      log_object_prefix: 'objects',
    });
  });
});
