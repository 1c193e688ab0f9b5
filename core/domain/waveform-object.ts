import { hash } from 'node:crypto';
import { machineRef, type MachineKey } from './ids.ts';
import { decodeSamples, type WaveformReference } from './waveform.ts';

/** What a waveform's object says of its samples: all that is needed to read it with nothing else at hand. */
export interface WaveformDescription extends Omit<WaveformReference, 'objectKey'> {
  readonly format: typeof FORMAT;
  readonly tenant: string;
  readonly site: string;
  readonly machine: string;
}

const FORMAT = 'tribo-waveform/1';
const SUFFIX = '.waveform';
const LINE_FEED = 0x0a;
/** Names, numbers and a unit take a tenth of it. */
const MAX_DESCRIPTION_BYTES = 4096;

/**
 * `waveforms/{tenant}/{site}/{machine}/{sensor}/{yyyy-mm-dd}/{ts}-{digest}.waveform`: day (UTC) and `ts` (milliseconds since 1970) are those of the
 * first sample, the digest is of the description. Keys without the ending are from before objects described themselves: samples alone.
 */
export const WAVEFORM_KEY =
  /^waveforms\/[A-Za-z0-9_.-]{1,64}\/[A-Za-z0-9_.-]{1,64}\/[A-Za-z0-9_.-]{1,64}\/[A-Za-z0-9_.-]{1,64}\/\d{4}-\d{2}-\d{2}\/\d+-[0-9a-f]{32}(\.waveform)?$/;

/** Where the samples belong: whoever describes the same samples alike writes the same object. */
export function waveformKey(machine: MachineKey, described: Omit<WaveformReference, 'objectKey'>): string {
  const day = new Date(described.ts).toISOString().slice(0, 10);
  const digest = hash('sha256', descriptionLine(machine, described), 'hex').slice(0, 32);
  return `waveforms/${machine}/${described.sensor}/${day}/${described.ts}-${digest}${SUFFIX}`;
}

/** A waveform as it is stored: a line of JSON that describes it, and then the samples as the device sent them. */
export function waveformObject(machine: MachineKey, reference: WaveformReference, samples: Uint8Array): Uint8Array {
  const { objectKey: _where, ...described } = reference;
  return Buffer.concat([Buffer.from(descriptionLine(machine, described)), samples]);
}

/** A waveform's object alone, read back: its samples in the unit that its description names. @throws RangeError where it is damaged. */
export function parseWaveformObject(object: Uint8Array): {
  readonly description: WaveformDescription;
  readonly samples: Float64Array;
} {
  const end = endOfLine(object);
  const description = parseLine(Buffer.from(object.buffer, object.byteOffset, end).toString('utf8'));
  const bytes = object.subarray(end + 1);
  if (hash('sha256', bytes, 'hex') !== description.sha256) {
    throw new RangeError('the samples have another SHA-256 than their description says');
  }
  return { description, samples: decodeSamples(bytes, description.encoding, description.scale) };
}

/** The bytes of the samples in the object of that key, with or without a description in front. @throws RangeError where it is damaged. */
export function storedSamples(objectKey: string, object: Uint8Array): Uint8Array {
  return objectKey.endsWith(SUFFIX) ? object.subarray(endOfLine(object) + 1) : object;
}

function descriptionLine(machine: MachineKey, described: Omit<WaveformReference, 'objectKey'>): string {
  const description: WaveformDescription = { format: FORMAT, ...machineRef(machine), ...described };
  return `${JSON.stringify(description)}\n`;
}

function endOfLine(object: Uint8Array): number {
  const end = object.subarray(0, MAX_DESCRIPTION_BYTES).indexOf(LINE_FEED);
  if (end < 0) throw new RangeError('the object has no line of description before its samples');
  return end;
}

function parseLine(line: string): WaveformDescription {
  try {
    const description = JSON.parse(line) as { readonly format?: unknown };
    if (description.format === FORMAT) return description as WaveformDescription;
  } catch {
    // Told below, as any other first line is.
  }
  throw new RangeError(`the object does not begin with a line of JSON whose format is ${FORMAT}`);
}
