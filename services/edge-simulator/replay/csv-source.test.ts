import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { plantSchema } from '#core/domain/plant.ts';
import { csvMappingSchema, readCsvMapping } from './csv-mapping.ts';
import type { CsvMappingInput } from './csv-mapping.ts';
import { openCsvSource } from './csv-source.ts';
import type { Recording, ReplayRecord, ReplaySource } from './source.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tribo-csv-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const MAPPING = {
  timestamp: { column: 'time', format: 'epoch-ms' },
  machine: 'press-7',
  columns: { T: { metric: 'temperature', unit: 'Cel' }, V: { metric: 'velocity_rms', unit: 'mm/s' } },
} satisfies CsvMappingInput;

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

const open = (mapping: CsvMappingInput = MAPPING): Promise<ReplaySource> =>
  openCsvSource({ folder, tenant: 'demo', site: 'akron', mapping: csvMappingSchema.parse(mapping), plantName: 'Test' });

async function read(recordings: readonly Recording[]): Promise<ReplayRecord[]> {
  const records: ReplayRecord[] = [];
  for (const recording of recordings) for await (const record of recording.records()) records.push(record);
  return records;
}

const telemetry = (machine: string, tsMs: number, metrics: Record<string, number>): ReplayRecord => ({
  machine,
  kind: 'telemetry',
  tsMs,
  metrics,
});

describe('a CSV source', () => {
  it('reads rows as readings, leaves out missing values, and knows the recording’s times and machine', async () => {
    await write({ 'a.csv': 'time,T,V\n1000,20.5,1\n2000,,NaN\n3000,"21",2e0' });
    const source = await open();
    expect(plantSchema.parse(source.plant).machines).toMatchObject([
      {
        id: 'press-7',
        metrics: [
          { name: 'temperature', unit: 'Cel' },
          { name: 'velocity_rms', unit: 'mm/s' },
        ],
      },
    ]);
    expect(source.recordings).toMatchObject([{ name: 'a.csv', beginMs: 1000, endMs: 3000, machines: ['press-7'] }]);
    expect(await read(source.recordings)).toEqual([
      telemetry('press-7', 1000, { temperature: 20.5, velocity_rms: 1 }),
      telemetry('press-7', 2000, {}),
      telemetry('press-7', 3000, { temperature: 21, velocity_rms: 2 }),
    ]);
  });

  it.each([
    { machine: '{unit}', gives: ['a-b', 'c'] },
    { machine: 'm-{unit}', gives: ['m-a-b', 'm-c'] },
    { machine: '{folder}-{file}', gives: ['sub-x'] },
    { machine: '{file}_{unit}', gives: ['x_a-b', 'x_c'] },
  ])('names machines by $machine', async ({ machine, gives }) => {
    await write({ 'sub/x.csv': 'time,unit,T,V\n1,a b,1,1\n2,c,1,1\n3,a b,1,1\n' });
    const mapping = machine.includes('{unit}') ? { ...MAPPING, machine } : { ...MAPPING, machine, ignore: ['unit'] };
    const source = await open(mapping);
    expect(source.plant.machines.map(({ id }) => id)).toEqual(gives);
  });

  it('takes Windows line ends, a byte order mark, other delimiters, and files in natural order', async () => {
    await write({ 'r10.csv': '\uFEFFtime;T;V\r\n3;3;3\r\n', 'r9.csv': '\uFEFFtime;T;V\r\n1;1;1\r\n\r\n2;2;2\r\n' });
    const source = await open({ ...MAPPING, delimiter: ';' });
    expect((await read(source.recordings)).map(({ tsMs }) => tsMs)).toEqual([1, 2, 3]);
  });

  it('makes a recording of each block when machines follow one another', async () => {
    const rows = [1, 2, 3].flatMap((unit) => [1, 2, 3, 4].map((cycle) => `${unit} ${cycle} ${unit * 10 + cycle} 0  `));
    await write({ 'x.csv': rows.join('\n') });
    const { recordings } = await open({
      ...MAPPING,
      delimiter: ' ',
      header: ['unit', 'time', 'T', 'V'],
      machine: 'engine-{unit}',
      blocks: true,
    });
    expect(recordings.map(({ name, beginMs, endMs }) => [name, beginMs, endMs])).toEqual([
      ['x.csv#engine-1', 1, 4],
      ['x.csv#engine-2', 1, 4],
      ['x.csv#engine-3', 1, 4],
    ]);
    expect(
      (await read(recordings.slice(1, 2))).map((record) => 'metrics' in record && record.metrics['temperature']),
    ).toEqual([21, 22, 23, 24]);
  });

  it('reads any table as it was written, blocks of bytes notwithstanding', async () => {
    const value = fc.double({ noNaN: true, noDefaultInfinity: true });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(), value, value), { minLength: 1, maxLength: 50 }), async (table) => {
        // Several blocks of 256 KiB each.
        const repeated = Array.from({ length: 300 }, () => table).flat();
        await write({ 'a.csv': `time,T,V\n${repeated.map((row) => row.join(',')).join('\n')}\n` });
        const records = await read((await open()).recordings);
        expect(records).toEqual(
          repeated.map(([tsMs, temperature, velocity]) =>
            telemetry('press-7', tsMs, { temperature: temperature + 0, velocity_rms: velocity + 0 }),
          ),
        );
      }),
      { numRuns: 5 },
    );
  });

  it.each<{ what: string; files: Record<string, string>; mapping?: CsvMappingInput; code?: string; says: string[] }>([
    { what: 'no file', files: {}, code: 'not_found', says: ['no file', '**/*.csv'] },
    { what: 'an empty file', files: { 'a.csv': '' }, says: ['a.csv is empty'] },
    { what: 'no rows', files: { 'a.csv': 'time,T,V\n' }, says: ['have no rows'] },
    {
      what: 'a missing column',
      files: { 'a.csv': 'time,T\n1,1\n' },
      says: ['a.csv has no column "V"', 'it has "time", "T"'],
    },
    { what: 'another delimiter', files: { 'a.csv': 'time;T;V\n1;1;1\n' }, says: ['its delimiter is ","'] },
    { what: 'an unknown column', files: { 'a.csv': 'time,T,V,X\n1,1,1,1\n' }, says: ['column "X"', '"ignore"'] },
    {
      what: 'a bad time',
      files: { 'a.csv': 'time,T,V\n1,1,1\nnoon,1,1\n' },
      says: ['a.csv:3 column "time": "noon"', 'epoch-ms'],
    },
    {
      what: 'a bad value',
      files: { 'a.csv': 'time,T,V\n1,1,1\n2,1,warm\n' },
      says: ['a.csv:3 column "V": "warm" is no number', '"missing"'],
    },
    { what: 'an infinite value', files: { 'a.csv': 'time,T,V\n1,1,1e999\n' }, says: ['a.csv:2 column "V": "1e999"'] },
    {
      what: 'a short row',
      files: { 'a.csv': 'time,T,V\n1,1,1\n2,1\n' },
      says: ['a.csv:3 has 2 cells where the header has 3'],
    },
    { what: 'a long row', files: { 'a.csv': 'time,T,V\n1,1,1,9\n' }, says: ['a.csv:2 has 4 cells'] },
    {
      what: 'an open quote',
      files: { 'a.csv': 'time,T,V\n1,"1,1\n2,1,1\n' },
      says: ['a.csv:', 'is not delimited text'],
    },
    {
      what: 'a machine without a name',
      files: { 'a.csv': 'time,unit,T,V\n1,,1,1\n' },
      mapping: { ...MAPPING, machine: '{unit}' },
      says: ['"" cannot name a machine'],
    },
  ])(
    'refuses $what and says what, where and the remedy',
    async ({ files, mapping, code = 'invalid_argument', says }) => {
      await write(files);
      const reading = open(mapping).then(({ recordings }) => read(recordings));
      await expect(reading).rejects.toMatchObject({ code });
      for (const part of says) await expect(reading).rejects.toThrow(part);
    },
  );

  it('refuses a folder that is not there', async () => {
    await rm(folder, { recursive: true });
    await expect(open()).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('a mapping file', () => {
  it('may be the example of the README', async () => {
    const readme = await readFile(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8');
    await write({ 'mapping.yaml': /```yaml\n([^`]*)```/.exec(readme)![1]! });
    expect(await readCsvMapping(join(folder, 'mapping.yaml'))).toMatchObject({
      delimiter: ';',
      machine: 'press-{unit}',
      columns: { Vib: { metric: 'velocity_rms', unit: 'mm/s' } },
    });
  });

  it.each([
    { text: 'a: [', code: 'invalid_argument', says: 'cannot be read as YAML' },
    { text: 'machine: m', code: 'invalid_argument', says: 'timestamp' },
    {
      text: 'machine: m\ntimestamp: {column: t, format: HH}\ncolumns: {}',
      code: 'invalid_argument',
      says: 'timestamp format "HH"',
    },
    {
      text: 'machine: m\ntimestamp: {column: t}\ncolumns: {a: {metric: "no good", unit: g}}',
      code: 'invalid_argument',
      says: 'columns.a.metric must be a name',
    },
    { text: 'machine: m\ntimestamp: {column: t}\ncolums: {}', code: 'invalid_argument', says: 'colums' },
  ])('is refused when it holds $text', async ({ text, code, says }) => {
    await write({ 'mapping.yaml': text });
    const reading = readCsvMapping(join(folder, 'mapping.yaml'));
    await expect(reading).rejects.toMatchObject({ code });
    await expect(reading).rejects.toThrow(says);
  });

  it('is asked for by name when it is not there', async () => {
    await expect(readCsvMapping(join(folder, 'none.yaml'))).rejects.toMatchObject({ code: 'not_found' });
  });
});
