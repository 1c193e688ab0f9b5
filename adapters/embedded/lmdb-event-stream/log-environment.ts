import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase } from 'lmdb';
import { PortError } from '#core/errors.ts';

/** Rises when a log that was written before can no longer be read. 1 kept the groups' checkpoints in the environment. */
const FORMAT = 2;
const FORMAT_KEY = 'format';
const HEAD_KEY = 'head';
const BINARY = { encoding: 'binary', compression: false, cache: false } as const;

/** The open LMDB environment of a log: to read only, or to write. */
export interface LogEnvironment {
  readonly root: RootDatabase<Buffer, string>;
  readonly frames: Database<Buffer, number>;
  /** The head, which is versioned by its commit. */
  readonly meta: Database<Buffer, string>;
  readonly tenants: Database<Buffer, string>;
  readonly sources: Database<Buffer, string>;
}

/** The file whose content changes at each commit. */
export function dataPath(directory: string): string {
  return join(directory, 'log', 'data.mdb');
}

/** Whether there is a log that can be opened to read. */
export function hasLog(directory: string): boolean {
  return readFormat(directory) !== undefined;
}

/** Opens the log to read, without ever taking LMDB's write lock; undefined where no writer has made it yet. @throws PortError failed_precondition */
export function openForReading(directory: string, mapSize: number): LogEnvironment | undefined {
  const format = readFormat(directory);
  if (format === undefined) return undefined;
  if (format !== FORMAT) throw wrongFormat(directory, format);
  return openEnvironment(directory, mapSize, true);
}

/** Opens the log to write, and makes it where it is not there, or half made. @throws PortError failed_precondition */
export function openForWriting(directory: string, mapSize: number, firstHead: Buffer): LogEnvironment {
  const environment = openEnvironment(directory, mapSize, false);
  const { root, meta } = environment;
  try {
    const format = meta.getBinary(FORMAT_KEY)?.readDoubleLE(0);
    if (format !== undefined && format !== FORMAT) throw wrongFormat(directory, format);
    if (format === undefined)
      root.transactionSync(() => {
        const record = Buffer.alloc(8);
        record.writeDoubleLE(FORMAT);
        meta.putSync(FORMAT_KEY, record, 1);
        meta.putSync(HEAD_KEY, firstHead, 1);
      });
    announce(directory);
    return environment;
  } catch (error) {
    void root.close();
    throw error;
  }
}

function openEnvironment(directory: string, mapSize: number, readOnly: boolean): LogEnvironment {
  // Without event-turn batching, and with a threshold of 1, lmdb-js starts a transaction when it is told to, not a turn later.
  const options = {
    overlappingSync: false,
    eventTurnBatching: false,
    txnStartThreshold: 1,
    mapSize,
    maxReaders: 512,
    readOnly,
  };
  const root = open<Buffer, string>(join(directory, 'log'), { ...options, ...BINARY });
  try {
    return {
      root,
      meta: root.openDB<Buffer, string>('meta', { ...BINARY, useVersions: true }),
      frames: root.openDB<Buffer, number>('frames', BINARY),
      tenants: root.openDB<Buffer, string>('tenants', BINARY),
      sources: root.openDB<Buffer, string>('sources', BINARY),
    };
  } catch (error) {
    void root.close();
    throw error;
  }
}

/** Tells readers that the log is whole: they do not open one that is being made. */
function announce(directory: string): void {
  const path = join(directory, 'format');
  if (existsSync(path)) return;
  writeFileSync(`${path}.new`, `${FORMAT}\n`);
  renameSync(`${path}.new`, path);
}

function readFormat(directory: string): number | undefined {
  try {
    return Number(readFileSync(join(directory, 'format'), 'latin1'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function wrongFormat(directory: string, format: number): PortError {
  const remedy =
    format < FORMAT
      ? 'no release wrote that: move the folder away, or run the version that made it'
      : 'run the version that made it';
  return new PortError(
    'failed_precondition',
    `the event log in ${directory} has format ${format}, this program reads and writes ${FORMAT}: ${remedy}`,
  );
}
