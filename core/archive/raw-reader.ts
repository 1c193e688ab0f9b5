import type { CallOptions } from '../errors.ts';
import { machineRef, type MachineKey } from '../domain/ids.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { lineStart, parseRawLine, RAW_KEY, rawFolder, type RawMessage } from './raw-object.ts';

export interface RawReaderDependencies {
  readonly objects: Pick<ObjectStore, 'list' | 'get'>;
  /** The opposite of what the archive compresses with. */
  readonly decompress: (bytes: Uint8Array) => Promise<Uint8Array>;
}

/** Messages of a machine that were accepted from `fromMs` on and before `toMs`. */
export interface RawQuery {
  readonly machine: MachineKey;
  readonly fromMs: number;
  readonly toMs: number;
  /** Where the page before ended. */
  readonly after?: RawPosition;
  readonly limit: number;
}

/** A place in an object, which may be gone by now. */
export interface RawPosition {
  readonly key: string;
  /** Of its text's bytes, the one to go on at. */
  readonly offset: number;
}

/** Without `next` there is no more; with it a page may be short, or even empty: one call reads a bounded number of objects. */
export interface RawPage {
  readonly messages: readonly RawMessage[];
  readonly next?: RawPosition;
}

const OBJECTS_A_PAGE = 16;
const LIST_PAGE = 200;
const LINE_FEED = 0x0a;
/** Folders sort as the time does from 1970 until then. */
const LAST_MS = Date.UTC(9999, 11, 31);

/** A page of what the archive holds of a machine, about in the order of acceptance. @throws PortError */
export async function readRaw(
  query: RawQuery,
  { objects, decompress }: RawReaderDependencies,
  options: CallOptions = {},
): Promise<RawPage> {
  const { machine, fromMs, toMs, after, limit } = query;
  const messages: RawMessage[] = [];
  let read = 0;
  for await (const key of keysOf(query, objects, options)) {
    if (read++ >= OBJECTS_A_PAGE) return { messages, next: { key, offset: 0 } };
    const object = await objects.get(key, options);
    // Its retention ended since it was listed.
    if (!object) continue;
    const text = await decompress(object);
    for (const { offset, line } of linesOf(machine, text, after?.key === key ? after.offset : 0)) {
      const message = parseRawLine(line);
      if (message.acceptedAtMs < fromMs || message.acceptedAtMs >= toMs) continue;
      if (messages.length === limit) return { messages, next: { key, offset } };
      messages.push(message);
    }
  }
  return { messages };
}

/** A machine's lines, found without looking at the others. */
function* linesOf(machine: MachineKey, object: Uint8Array, from: number) {
  const text = Buffer.from(object.buffer, object.byteOffset, object.byteLength);
  const start = Buffer.from(lineStart(machineRef(machine).machine));
  for (let offset = text.indexOf(start, from); offset >= 0;) {
    const end = text.indexOf(LINE_FEED, offset);
    // Within a line it is part of what somebody sent.
    const isStart = offset === 0 || text[offset - 1] === LINE_FEED;
    if (isStart) yield { offset, line: text.toString('utf8', offset, end) };
    offset = text.indexOf(start, isStart ? end : offset + 1);
  }
}

/** Of the objects that may hold such messages, from the one on at which the page before ended. */
async function* keysOf(
  { machine, fromMs, toMs, after }: RawQuery,
  objects: RawReaderDependencies['objects'],
  options: CallOptions,
): AsyncGenerator<string> {
  const { tenant, site } = machineRef(machine);
  const lastFolder = rawFolder(tenant, site, Math.min(Math.max(toMs, 0), LAST_MS));
  const isWanted = (key: string) => {
    const [, tenantOf, siteOf, , , first, last] = RAW_KEY.exec(key) ?? [];
    // A cursor comes from outside.
    if (tenantOf !== tenant || siteOf !== site) return false;
    return first !== undefined && Number(first) < toMs && Number(last) >= fromMs;
  };
  if (after && isWanted(after.key)) yield after.key;
  for (let last = after?.key ?? rawFolder(tenant, site, fromMs); ;) {
    const page = await objects.list({ prefix: `raw/${tenant}/${site}/`, after: last, limit: LIST_PAGE }, options);
    for (const { key } of page) {
      if (key > `${lastFolder}~`) return;
      if (isWanted(key)) yield key;
    }
    if (page.length < LIST_PAGE) return;
    last = page.at(-1)!.key;
  }
}
