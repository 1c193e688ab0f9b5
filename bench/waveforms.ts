import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { MachineKey } from '#core/domain/ids.ts';
import { waveformKey, waveformObject } from '#core/domain/waveform-object.ts';
import { FileObjectStore } from '#adapters/embedded/file-object-store/file-object-store.ts';

export interface WaveformBench {
  readonly senders: number;
  readonly bytes: number;
  /** Waveforms a second that are durable under their keys: bytes and folder entry. */
  readonly durablePerSecond: number;
  /** Files a second that are written and synced by as many at once, whose folder entries are not: what the disk allows. */
  readonly syncedFilesPerSecond: number;
}

const T0 = Date.UTC(2026, 10, 21);
const DESCRIBED = {
  ...{ sensor: 'de', sampleRateHz: 25_600, unit: 'g', encoding: 'f32le' as const, scale: 1, sampleCount: 8192 },
  sha256: '0'.repeat(64),
};

/** Each sender puts one waveform after the other, of a machine of its own, as intake does before it publishes the reference. */
export async function runWaveformBench({ senders = 20, bytes = 32_768, seconds = 5 } = {}): Promise<WaveformBench> {
  const directory = mkdtempSync(join(tmpdir(), 'tribo-waveforms-'));
  const samples = randomBytes(bytes);
  try {
    const store = new FileObjectStore({ directory: join(directory, 'objects') });
    const put = async (sender: number, count: number): Promise<void> => {
      const machine = `bench/plant-1/m-${sender}` as MachineKey;
      const described = { ...DESCRIBED, ts: T0 + count, waveformId: `w-${count}` };
      const reference = { ...described, objectKey: waveformKey(machine, described) };
      await store.put(reference.objectKey, waveformObject(machine, reference, samples), { ifAbsent: true });
    };
    return {
      ...{ senders, bytes },
      syncedFilesPerSecond: await rateOf(senders, seconds, (sender, count) =>
        writeSynced(join(directory, 'floor', String(sender), String(count)), samples),
      ),
      durablePerSecond: await rateOf(senders, seconds, put),
    };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function rateOf(
  senders: number,
  seconds: number,
  work: (sender: number, count: number) => Promise<void>,
): Promise<number> {
  for (let sender = 0; sender < senders; sender++) await work(sender, 0);
  const startedMs = performance.now();
  let done = 0;
  const send = async (sender: number): Promise<void> => {
    for (let count = 1; performance.now() - startedMs < seconds * 1000; count++) {
      await work(sender, count);
      done++;
    }
  };
  await Promise.all(Array.from({ length: senders }, (_, sender) => send(sender)));
  return Math.round(done / ((performance.now() - startedMs) / 1000));
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await using file = await open(path, 'wx');
  await file.writeFile(bytes);
  await file.datasync();
}

if (import.meta.main) {
  process.stdout.write(`${JSON.stringify(await runWaveformBench(), undefined, 2)}\n`);
}
