import { describe, expect, it } from '@jest/globals';
import { HISTORY_TABLES } from '../warehouse-tables.ts';
import { shipped, synthesized, type Attributes } from '../testing/synthesized.ts';

const environment = shipped('atlas.prod');
const atlas = synthesized(environment);

describe('the warehouse', () => {
  it('is made where the environment asks for it alone', () => {
    expect(() => synthesized(shipped('akron.prod')).of('aws_glue_catalog_table')).toThrow('nothing is of type');
    expect(atlas.of('aws_glue_catalog_database')[0]).toMatchObject({ name: 'tribo_atlas_prod_history' });
  });

  it('has a table for each kind of file of an export, in the folder of its name', () => {
    const tables = atlas.of('aws_glue_catalog_table').filter(({ name }) => name !== 'raw_messages');
    expect(new Set(tables.map(({ name }) => name))).toEqual(
      new Set(Object.values(HISTORY_TABLES).map(({ name }) => name)),
    );
    for (const { name, storage_descriptor: files, table_type: type } of tables) {
      expect(type).toBe('EXTERNAL_TABLE');
      expect(files).toMatchObject({ location: expect.stringMatching(new RegExp(`/history/${String(name)}/$`)) });
    }
  });

  it('finds the folders of the raw archive by itself, of the tenants and as many days as it is kept', () => {
    const raw = atlas.one('aws_glue_catalog_table', 'raw-messages');
    expect(raw['parameters']).toMatchObject({
      'projection.enabled': 'true',
      'projection.tenant.values': 'atlas,borealis',
      'projection.day.range': 'NOW-365DAYS,NOW',
      'storage.location.template': expect.stringMatching(
        /\/raw\/\$\$\{tenant\}\/\$\$\{site\}\/\$\$\{day\}\/\$\$\{hour\}\/$/,
      ),
    });
    const { columns, ser_de_info: serde } = raw['storage_descriptor'] as {
      readonly columns: readonly Attributes[];
      readonly ser_de_info: { readonly parameters: Readonly<Record<string, string>> };
    };
    expect(columns).toContainEqual({ name: 'acceptedatms', type: 'bigint' });
    expect(serde.parameters['mapping.acceptedatms']).toBe('acceptedAtMs');
    expect(raw['partition_keys']).toEqual([
      { name: 'tenant', type: 'string' },
      { name: 'site', type: 'string' },
      { name: 'day', type: 'string' },
      { name: 'hour', type: 'int' },
    ]);
  });

  it('answers into a bucket of its own, encrypted, for a while, and no query reads more than a tenth of what is priced', () => {
    expect(atlas.of('aws_athena_workgroup')[0]!['configuration']).toMatchObject({
      enforce_workgroup_configuration: true,
      bytes_scanned_cutoff_per_query: 20_000_000_000,
      result_configuration: {
        encryption_configuration: { encryption_option: 'SSE_KMS', kms_key_arn: expect.stringContaining('aws_kms_key') },
      },
    });
    const rules = atlas.one('aws_s3_bucket_lifecycle_configuration', 'results/lifecycle')['rule'];
    expect(rules).toContainEqual(expect.objectContaining({ expiration: [{ days: 30 }] }));
  });
});
