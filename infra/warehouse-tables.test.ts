import { describe, expect, it } from '@jest/globals';
import { columnsOf, type PartKind } from '../adapters/history-parts.ts';
import { rawObjects } from '../core/archive/raw-object.ts';
import { sampleEvent } from '../core/contracts/sample-event.ts';
import type { StampedEvent } from '../core/domain/event.ts';
import { HISTORY_TABLES, RAW_TABLE, type ColumnType } from './warehouse-tables.ts';

/** Of the writer, in Parquet. */
const WRITTEN: Readonly<Record<string, ColumnType>> = {
  VARCHAR: 'text',
  INTEGER: 'int',
  UTINYINT: 'byte',
  BIGINT: 'long',
  DOUBLE: 'double',
};

describe('the catalog of exports', () => {
  it.each(Object.entries(HISTORY_TABLES))('%s has the columns of the files, in their order', (kind, { columns }) => {
    const written = columnsOf(kind as PartKind).map(([name, type]) => [name, WRITTEN[type]]);
    expect(Object.entries(columns)).toEqual(written);
  });
});

describe('the catalog of the raw archive', () => {
  it('has the keys of its lines', () => {
    const stamped = (payload: string, imported: boolean): StampedEvent => ({
      ...sampleEvent(`e-${payload.length}`),
      ...{ kind: 'telemetry', payload: Buffer.from(payload), acceptedAtMs: 1_790_000_000_000, imported },
      ...{ source: 'akron', epoch: 1, seq: 1, cumulativeItems: 1 },
    });
    const objects = rawObjects('metrics', [stamped('{"ts":1}', true), stamped('{"ts":\n2}', false)]);
    const lines = objects.flatMap(({ text }) => text.toString().trim().split('\n'));
    const types = new Map(lines.flatMap((line) => Object.entries(JSON.parse(line) as object)).map(typed));
    expect(Object.fromEntries(types)).toEqual(RAW_TABLE.columns);
  });
});

function typed([key, value]: readonly [string, unknown]): readonly [string, ColumnType] {
  const types: Readonly<Record<string, ColumnType>> = {
    string: 'text',
    number: 'long',
    boolean: 'flag',
    object: 'json',
  };
  return [key, types[typeof value]!];
}
