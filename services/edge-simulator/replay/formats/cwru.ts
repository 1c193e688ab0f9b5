import { join } from 'node:path';
import { z } from 'zod';
import type { MachineDescription } from '../../machine-spec.ts';
import { checkSize, readManifest, readPieces } from '../binary-recording.ts';
import { machineName } from '../machine-name.ts';
import type { Recording, ReplaySource, SourceOptions } from '../source.ts';

const manifestSchema = z
  .array(
    z.object({
      file: z.string().regex(/^[^/\\]+\.f32$/),
      n: z.int().min(1),
      fs: z.number().positive().nullable(),
      rpm: z.number().positive().nullable(),
      loadHp: z.int().min(0).max(3),
      label: z.string(),
      diameterMil: z.number().nullish(),
    }),
  )
  .min(1);

type Entry = z.infer<typeof manifestSchema>[number];

/** The recordings carry no dates; kept times count from here. */
const ASSUMED_BEGIN_MS = Date.UTC(2000, 0, 1);
const SENSOR = 'drive-end';
const BYTES_PER_POINT = 4;

/** The healthy file names no rate; its length is that of the 48 kHz files. */
const ASSUMED_SAMPLE_RATE_HZ = 48_000;
/** Nominal speed at each load, from the data centre's page: for the files whose speed was not measured. */
const NOMINAL_RPM = [1797, 1772, 1750, 1730] as const;

/** As base64 just within an MQTT message. */
const MAX_RECORD_POINTS = 24_000;

/**
 * The bearing test stand of Case Western Reserve University: one file of about ten seconds for each seeded fault and load, float32 in
 * g, from the drive end. One machine a file; the file is cut into contiguous records of about a second.
 */
export async function openCwru(options: SourceOptions): Promise<ReplaySource> {
  const { folder, tenant, site, machinePrefix = 'cwru-' } = options;
  const entries = await readManifest(folder, manifestSchema, 'the CWRU bearings (*.f32)');
  const recordings: Recording[] = [];
  const machines: MachineDescription[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.file);
    await checkSize(path, entry.n * BYTES_PER_POINT);
    const machine = machineName(machinePrefix, shortName(entry));
    machines.push(describe(machine, entry));
    recordings.push(recordingOf(path, machine, entry));
  }
  return { plant: { tenant, site, name: 'CWRU bearing test stand', machines }, recordings };
}

/** Sizes of the fewest records of at most a second, and of what an MQTT message holds, that take all points; as equal as can be. */
export function splitPoints(points: number, sampleRateHz: number): number[] {
  const count = Math.ceil(points / Math.min(sampleRateHz, MAX_RECORD_POINTS));
  return Array.from(
    { length: count },
    (_, i) => Math.floor(((i + 1) * points) / count) - Math.floor((i * points) / count),
  );
}

function recordingOf(path: string, machine: string, entry: Entry): Recording {
  const sampleRateHz = entry.fs ?? ASSUMED_SAMPLE_RATE_HZ;
  const sizes = splitPoints(entry.n, sampleRateHz);
  const atMs = (point: number): number => ASSUMED_BEGIN_MS + (point / sampleRateHz) * 1000;
  const rpm = entry.rpm === null ? {} : { rpm: entry.rpm };
  return {
    name: entry.file,
    machines: [machine],
    beginMs: ASSUMED_BEGIN_MS,
    endMs: atMs(entry.n - (sizes.at(-1) ?? 0)),
    bytes: entry.n * BYTES_PER_POINT,
    async *records() {
      let point = 0;
      const bytes = sizes.map((size) => size * BYTES_PER_POINT);
      for await (const samples of readPieces(path, bytes)) {
        const waveform = { sampleRateHz, unit: 'g', encoding: 'f32le', ...rpm, samples } as const;
        yield { machine, kind: 'waveform', tsMs: atMs(point), sensor: SENSOR, waveform };
        point += samples.length / BYTES_PER_POINT;
      }
    },
  };
}

function shortName({ file }: Entry): string {
  return file.replace(/^12k_Drive_End_/, '').replace(/\.DE\.f32$/, '');
}

/** SKF 6205-2RS JEM at the drive end of a 2 hp motor; geometry from the data centre's page, in millimetres. */
function describe(id: string, entry: Entry): MachineDescription {
  const fault = entry.diameterMil ? `${entry.label}, ${entry.diameterMil} mil` : entry.label;
  return {
    id,
    name: `CWRU ${shortName(entry)} (${fault})`.slice(0, 120),
    class: 'motor',
    powerKw: 1.5,
    nominalRpm: entry.rpm ?? NOMINAL_RPM[entry.loadHp]!,
    bearings: [
      {
        id: SENSOR,
        designation: '6205-2RS',
        elements: 9,
        elementDiameterMm: 7.94,
        pitchDiameterMm: 39.04,
        contactAngleDeg: 0,
      },
    ],
    sensors: [
      {
        id: SENSOR,
        kind: 'acceleration',
        unit: 'g',
        sampleRateHz: entry.fs ?? ASSUMED_SAMPLE_RATE_HZ,
        bearing: SENSOR,
      },
    ],
  };
}
