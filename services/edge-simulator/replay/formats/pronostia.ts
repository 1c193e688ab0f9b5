import { join } from 'node:path';
import { z } from 'zod';
import type { MachineDescription } from '../../machine-spec.ts';
import { checkSize, readManifest, readPieces } from '../binary-recording.ts';
import { machineName } from '../machine-name.ts';
import type { Recording, ReplaySource, SourceOptions } from '../source.ts';

const manifestSchema = z
  .array(
    z.object({
      file: z.string().regex(/^[^/\\]+\.i16$/),
      snapshots: z.int().positive(),
      rpm: z.number().positive(),
      fs: z.number().positive(),
      samplesPerSnapshot: z.int().positive(),
      intervalSeconds: z.number().positive(),
      scale: z.number().positive(),
    }),
  )
  .min(1);

type Entry = z.infer<typeof manifestSchema>[number];

/** The recordings carry no dates; kept times count from here. */
const ASSUMED_BEGIN_MS = Date.UTC(2012, 0, 1);
const SENSOR = 'horizontal';

/**
 * FEMTO-ST's PRONOSTIA rig (Nectoux et al., PHM 2012): bearings run to failure under overload, horizontal acceleration for 0.1 s each
 * 10 s, int16 in one file a bearing. One machine a bearing.
 */
export async function openPronostia(options: SourceOptions): Promise<ReplaySource> {
  const { folder, tenant, site, machinePrefix = 'pronostia-' } = options;
  const entries = await readManifest(folder, manifestSchema, 'the PRONOSTIA bearings (*.i16)');
  const recordings: Recording[] = [];
  const machines: MachineDescription[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.file);
    const bytes = entry.snapshots * snapshotBytes(entry);
    await checkSize(path, bytes);
    const machine = machineName(machinePrefix, entry.file.replace(/\.i16$/, ''));
    machines.push(describe(machine, entry));
    recordings.push(recordingOf(path, machine, entry, bytes));
  }
  return { plant: { tenant, site, name: 'PRONOSTIA bearing rig', machines }, recordings };
}

function recordingOf(path: string, machine: string, entry: Entry, bytes: number): Recording {
  const atMs = (index: number): number => ASSUMED_BEGIN_MS + index * entry.intervalSeconds * 1000;
  return {
    name: entry.file,
    machines: [machine],
    beginMs: atMs(0),
    endMs: atMs(entry.snapshots - 1),
    bytes,
    async *records() {
      let index = 0;
      const sizes = Array<number>(entry.snapshots).fill(snapshotBytes(entry));
      for await (const samples of readPieces(path, sizes)) {
        yield {
          machine,
          kind: 'waveform',
          tsMs: atMs(index++),
          sensor: SENSOR,
          waveform: {
            sampleRateHz: entry.fs,
            unit: 'g',
            encoding: 'i16le',
            scale: entry.scale,
            rpm: entry.rpm,
            samples,
          },
        };
      }
    },
  };
}

function snapshotBytes(entry: Entry): number {
  return entry.samplesPerSnapshot * 2;
}

/** NSK 6804RS as the rig's makers describe it: 13 balls of 3.5 mm on a pitch circle of 25.6 mm. The motor has 250 W. */
function describe(id: string, entry: Entry): MachineDescription {
  return {
    id,
    name: `PRONOSTIA ${entry.file.replace(/\.i16$/, '')}`,
    class: 'bearing-rig',
    powerKw: 0.25,
    nominalRpm: entry.rpm,
    bearings: [
      {
        id: 'test',
        designation: '6804RS',
        elements: 13,
        elementDiameterMm: 3.5,
        pitchDiameterMm: 25.6,
        contactAngleDeg: 0,
      },
    ],
    sensors: [{ id: SENSOR, kind: 'acceleration', unit: 'g', sampleRateHz: entry.fs, bearing: 'test' }],
  };
}
