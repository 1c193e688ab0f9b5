import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { PortError } from '#core/errors.ts';
import { isMissing } from './errors.ts';
import { newRecord, RECORD_BYTES, readRecord } from './frame-codec.ts';

const FORMAT = 1;
const SUFFIX = '.log';
const LARGEST_PREAMBLE_BYTES = 1024 * 1024;

/** The first record of a segment: what held when it was begun, so that the segments before it need not be read. */
export interface SegmentPreamble {
  readonly format: typeof FORMAT;
  readonly firstPosition: number;
  readonly createdAtMs: number;
  /** The newest epoch of the source. */
  readonly epoch: number;
  /** Each tenant's items before the segment. */
  readonly tenants: Readonly<Record<string, number>>;
}

export function encodePreamble(preamble: Omit<SegmentPreamble, 'format'>): Buffer {
  return newRecord(Buffer.from(JSON.stringify({ format: FORMAT, ...preamble })));
}

/** The preamble and where the frames begin; undefined where the segment was never finished being begun. @throws PortError failed_precondition for another format. */
export async function readPreamble(
  file: FileHandle,
): Promise<{ readonly preamble: SegmentPreamble; readonly framesStart: number } | undefined> {
  const lead = Buffer.alloc(RECORD_BYTES);
  await file.read(lead, 0, RECORD_BYTES, 0);
  const length = lead.readUInt32LE(0);
  if (length === 0 || length > LARGEST_PREAMBLE_BYTES) return undefined;
  const bytes = Buffer.alloc(RECORD_BYTES + length);
  await file.read(bytes, 0, bytes.byteLength, 0);
  const content = readRecord(bytes, 0);
  if (!content) return undefined;
  const preamble = JSON.parse(content.toString()) as SegmentPreamble;
  if ((preamble.format as number) !== FORMAT)
    throw new PortError(
      'failed_precondition',
      `the event log has format ${preamble.format as number}, this program writes ${FORMAT}: start the version that made it`,
    );
  return { preamble, framesStart: bytes.byteLength };
}

export function segmentPath(directory: string, firstPosition: number): string {
  return join(directory, `${firstPosition.toString().padStart(16, '0')}${SUFFIX}`);
}

/** First positions of the segments of a source, ascending. */
export async function listSegments(directory: string): Promise<number[]> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return names
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => Number(name.slice(0, -SUFFIX.length)))
    .filter((position) => Number.isSafeInteger(position))
    .sort((left, right) => left - right);
}

/** Opens a segment for reading; undefined where it does not exist (any more). */
export async function openSegment(directory: string, firstPosition: number): Promise<FileHandle | undefined> {
  try {
    return await open(segmentPath(directory, firstPosition), 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
