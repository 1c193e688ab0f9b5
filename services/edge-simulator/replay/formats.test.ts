import { copyFile, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { plantSchema } from '#core/domain/plant.ts';
import { decodeSamples } from '#core/domain/waveform.ts';
import { waveformJsonBytes } from '../messages.ts';
import { splitPoints } from './formats/cwru.ts';
import { openReplaySource } from './formats.ts';
import type { ReplayFormat, ReplaySourceOptions } from './formats.ts';
import type { Recording, ReplayRecord, ReplaySource } from './source.ts';
import { DATASETS, describeWithDatasets } from './test-datasets.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tribo-formats-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const options = (format: ReplayFormat, folder = join(DATASETS, format)): ReplaySourceOptions => ({
  format,
  folder,
  tenant: 'demo',
  site: 'akron',
});

async function count(recordings: readonly Recording[]): Promise<{ records: number; items: number; disorder: number }> {
  const sum = { records: 0, items: 0, disorder: 0 };
  for (const recording of recordings) {
    const latest = new Map<string, number>();
    for await (const { machine, tsMs, ...record } of recording.records()) {
      sum.records++;
      sum.items += record.kind === 'telemetry' ? Object.keys(record.metrics).length : 1;
      if (tsMs < (latest.get(machine) ?? -Infinity)) sum.disorder++;
      latest.set(machine, tsMs);
    }
  }
  return sum;
}

async function first(source: ReplaySource, name: string): Promise<ReplayRecord> {
  for await (const record of source.recordings.find((recording) => recording.name === name)!.records()) return record;
  throw new Error(`${name} has no records`);
}

describeWithDatasets('the data sets', () => {
  it.each<{ format: ReplayFormat; machines: number; records: number; items: number }>([
    { format: 'pronostia', machines: 6, records: 7534, items: 7534 },
    { format: 'cwru', machines: 61, records: 671, items: 671 },
    { format: 'skab', machines: 21, records: 31_877, items: 255_016 },
  ])(
    '$format is $machines machines with $items items in $records records',
    async ({ format, machines, ...expected }) => {
      const source = await openReplaySource(options(format));
      expect(plantSchema.parse(source.plant).machines.length).toBe(machines);
      expect(await count(source.recordings)).toEqual({ ...expected, disorder: 0 });
    },
  );

  it('nab is a series a machine, in the unit of its own where that is known', async () => {
    const group = join('data', 'realKnownCause');
    await mkdir(join(folder, group), { recursive: true });
    for (const name of ['nyc_taxi.csv', 'ambient_temperature_system_failure.csv']) {
      await symlink(join(DATASETS, 'nab', group, name), join(folder, group, name));
    }
    const { plant, recordings } = await openReplaySource(options('nab', folder));
    expect(plantSchema.parse(plant).machines.length).toBe(2);
    const units = new Map(plant.machines.map(({ id, metrics }) => [id, metrics?.[0]?.unit]));
    expect(units.get('nab-realKnownCause-ambient_temperature_system_failure')).toBe('[degF]');
    expect(units.get('nab-realKnownCause-nyc_taxi')).toBe('1');
    const taxi = recordings.filter(({ name }) => name.endsWith('nyc_taxi.csv'));
    expect(await count(taxi)).toEqual({ records: 10_320, items: 10_320, disorder: 0 });
  });

  it('cmapss is an engine a recording, each a life of its own', async () => {
    await symlink(join(DATASETS, 'cmapss', 'train_FD001.txt'), join(folder, 'train_FD001.txt'));
    const source = await openReplaySource(options('cmapss', folder));
    expect(plantSchema.parse(source.plant).machines.length).toBe(100);
    const engine = source.recordings.find(({ name }) => name === 'train_FD001.txt#cmapss-train_FD001-1')!;
    expect((engine.endMs - engine.beginMs) / 600_000).toBe(191);
    expect(await count([engine])).toEqual({ records: 192, items: 192 * 24, disorder: 0 });
    const record = await first(source, 'train_FD001.txt#cmapss-train_FD001-1');
    expect(record).toMatchObject({ metrics: { setting_3: 100, t2: 518.67, t24: 641.82, w32: 23.419 } });
    expect(await first(source, 'train_FD001.txt#cmapss-train_FD001-2')).toMatchObject({ metrics: { t24: 641.89 } });
  });

  it('pronostia has the geometry of its bearing and snapshots of 0.1 s each 10 s', async () => {
    const { plant, recordings } = await openReplaySource(options('pronostia'));
    expect(plant.machines[0]).toMatchObject({
      id: 'pronostia-Bearing1_1',
      powerKw: 0.25,
      nominalRpm: 1800,
      bearings: [{ elements: 13, elementDiameterMm: 3.5, pitchDiameterMm: 25.6, contactAngleDeg: 0 }],
    });
    const records: ReplayRecord[] = [];
    for await (const record of recordings[0]!.records()) if (records.push(record) === 3) break;
    expect(records.map(({ tsMs }) => tsMs - recordings[0]!.beginMs)).toEqual([0, 10_000, 20_000]);
    const [record] = records;
    if (record?.kind !== 'waveform') throw new Error('not a waveform');
    const { samples, encoding, scale } = record.waveform;
    const values = decodeSamples(samples, encoding, scale ?? 1);
    expect(values.length).toBe(2560);
    expect(Math.max(...values)).toBeLessThan(5);
    expect(Math.min(...values)).toBeLessThan(-0.1);
  });

  it('every waveform fits an MQTT message, and together they are the whole file', async () => {
    for (const format of ['pronostia', 'cwru'] as const) {
      for (const recording of (await openReplaySource(options(format))).recordings.slice(-3)) {
        let bytes = 0;
        for await (const record of recording.records()) {
          if (record.kind !== 'waveform') throw new Error('not a waveform');
          const { samples, encoding } = record.waveform;
          expect(waveformJsonBytes(samples.length / (encoding === 'f32le' ? 4 : 2), encoding)).toBeLessThanOrEqual(
            131_072,
          );
          bytes += samples.length;
        }
        expect(bytes).toBe(recording.bytes);
      }
    }
  });

  it('a machine prefix takes the place of the format’s own', async () => {
    const source = await openReplaySource({ ...options('cwru'), machinePrefix: 'x-' });
    expect(source.plant.machines.map(({ id }) => id)).toContain('x-OR007-6_0_130');
  });
});

describe('records of a long file', () => {
  it.each([
    { points: 122_571, rateHz: 12_000, count: 11 },
    { points: 243_938, rateHz: 48_000, count: 11 },
    { points: 12_000, rateHz: 12_000, count: 1 },
    { points: 5, rateHz: 12_000, count: 1 },
  ])('are $count of equal length for $points points at $rateHz Hz', ({ points, rateHz, count: records }) => {
    const sizes = splitPoints(points, rateHz);
    expect(sizes.length).toBe(records);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(points);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  });
});

describe('a folder that is not right', () => {
  const ENTRY = {
    file: 'B.i16',
    snapshots: 3,
    rpm: 1800,
    fs: 25_600,
    samplesPerSnapshot: 4,
    intervalSeconds: 10,
    scale: 0.002,
  };
  const put = async (manifest: unknown, bytes = 24): Promise<void> => {
    await writeFile(join(folder, 'manifest.json'), typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
    await writeFile(join(folder, 'B.i16'), new Uint8Array(bytes));
  };

  it.each<{ what: string; prepare: () => Promise<void>; code: string; says: string }>([
    { what: 'no manifest', prepare: () => Promise.resolve(), code: 'not_found', says: 'manifest.json is not there' },
    {
      what: 'a manifest that is not JSON',
      prepare: () => put('nope'),
      code: 'invalid_argument',
      says: 'manifest.json is not JSON',
    },
    {
      what: 'another manifest',
      prepare: () => put([{ file: 'B.i16' }]),
      code: 'invalid_argument',
      says: '0.snapshots',
    },
    {
      what: 'a path in the manifest',
      prepare: () => put([{ ...ENTRY, file: '../B.i16' }]),
      code: 'invalid_argument',
      says: '0.file',
    },
    {
      what: 'a file that is cut off',
      prepare: () => put([ENTRY], 23),
      code: 'data_loss',
      says: 'B.i16 has 23 bytes, its manifest says 24',
    },
    {
      what: 'a file too few',
      prepare: () => put([{ ...ENTRY, file: 'C.i16' }]),
      code: 'not_found',
      says: 'C.i16 is not there',
    },
  ])('is refused with $code for $what', async ({ prepare, code, says }) => {
    await prepare();
    const opening = openReplaySource(options('pronostia', folder));
    await expect(opening).rejects.toMatchObject({ code });
    await expect(opening).rejects.toThrow(says);
  });

  it('is found out also when a file shrinks while it is read', async () => {
    await put([ENTRY]);
    const { recordings } = await openReplaySource(options('pronostia', folder));
    await copyFile(join(folder, 'B.i16'), join(folder, 'copy'));
    await truncate(join(folder, 'B.i16'), 12);
    await expect(count(recordings)).rejects.toMatchObject({ code: 'data_loss' });
  });

  it('csv is refused without a mapping, and another format with one', async () => {
    await expect(openReplaySource(options('csv', folder))).rejects.toThrow('--mapping');
    await expect(openReplaySource({ ...options('skab', folder), mapping: 'm.yaml' })).rejects.toThrow('--format csv');
  });
});
