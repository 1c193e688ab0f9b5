import { hash } from 'node:crypto';
import type { StampedEvent, StreamName } from '../domain/event.ts';
import { machineRef, type MachineId, type MachineKey, type SiteId, type TenantId } from '../domain/ids.ts';

/** A message as it was admitted, and when. */
export interface RawMessage {
  readonly machine: MachineId;
  readonly kind: 'telemetry' | 'waveform';
  readonly eventId: string;
  /** When the edge accepted it, milliseconds since 1970. */
  readonly acceptedAtMs: number;
  readonly imported: boolean;
  /** JSON, byte for byte as it is on the stream: see the payloads of EventKind. */
  readonly payload: string;
}

/** Some messages of one site and hour, to be stored under a key that follows from them. */
export interface RawObject {
  readonly key: string;
  /** One JSON object a line. */
  readonly text: Buffer;
}

/** `raw/{tenant}/{site}/{yyyy-mm-dd}/{hh}/{first}-{last}-{stream}-{digest}.ndjson.gz`: when the first and the last of its messages were accepted. */
export const RAW_KEY =
  /^raw\/([A-Za-z0-9_.-]{1,64})\/([A-Za-z0-9_.-]{1,64})\/(\d{4}-\d{2}-\d{2})\/(\d{2})\/(\d+)-(\d+)-[a-z-]+-[0-9a-f]{32}\.ndjson\.gz$/;

/** The events as objects, one a site and hour. The same events in the same order give the same objects; what is no message is left out. */
export function rawObjects(stream: StreamName, events: readonly StampedEvent[]): readonly RawObject[] {
  const drafts = new Map<string, Draft>();
  const places = new Map<MachineKey, Place>();
  for (const event of events) {
    if (event.kind !== 'telemetry' && event.kind !== 'waveform') continue;
    const hour = Math.floor(event.acceptedAtMs / HOUR_MS);
    let place = places.get(event.key);
    if (place?.hour !== hour) {
      place = placeOf(event.key, hour, drafts);
      places.set(event.key, place);
    }
    place.draft.add(event, place.lineStart);
  }
  return [...drafts].map(([folder, draft]) => {
    const text = draft.text();
    const digest = hash('sha256', text, 'hex').slice(0, 32);
    return { key: `${folder}${draft.firstMs}-${draft.lastMs}-${stream}-${digest}.ndjson.gz`, text };
  });
}

/** Where the messages of a machine go within an hour: found once, because every message passes here. */
interface Place {
  readonly hour: number;
  readonly lineStart: string;
  readonly draft: Draft;
}

function placeOf(key: MachineKey, hour: number, drafts: Map<string, Draft>): Place {
  const { tenant, site, machine } = machineRef(key);
  const folder = rawFolder(tenant, site, hour * HOUR_MS);
  let draft = drafts.get(folder);
  if (!draft) drafts.set(folder, (draft = new Draft()));
  return { hour, lineStart: lineStart(machine), draft };
}

/** Where the messages of a site are that were accepted in the hour of that time; sorts as the time does. */
export function rawFolder(tenant: TenantId, site: SiteId, atMs: number): string {
  const time = new Date(atMs).toISOString();
  return `raw/${tenant}/${site}/${time.slice(0, 10)}/${time.slice(11, 13)}/`;
}

/** What every line of a machine begins with. */
export function lineStart(machine: MachineId): string {
  return `{"machine":"${machine}",`;
}

/** @throws SyntaxError for what is no line of an object. */
export function parseRawLine(line: string): RawMessage {
  const {
    body,
    text,
    imported = false,
    ...rest
  } = JSON.parse(line) as Omit<RawMessage, 'payload' | 'imported'> & {
    readonly body?: unknown;
    readonly text?: string;
    readonly imported?: boolean;
  };
  if (text !== undefined) return { ...rest, imported, payload: text };
  // The payload is the end of the line as it stands: parsed and written again, 1.0 would be 1.
  const start = line.indexOf(BODY) + BODY.length;
  return { ...rest, imported, payload: body === undefined ? '' : line.slice(start, -1) };
}

const HOUR_MS = 3_600_000;
const BODY = ',"body":';
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CLOSING = Buffer.from('}\n');

/** Lines one after the other in one buffer that grows. */
class Draft {
  #bytes = Buffer.allocUnsafe(64 * 1024);
  #length = 0;
  firstMs = Infinity;
  lastMs = 0;

  add({ kind, eventId, acceptedAtMs, imported, payload }: StampedEvent, machineStart: string): void {
    if (acceptedAtMs < this.firstMs) this.firstMs = acceptedAtMs;
    if (acceptedAtMs > this.lastMs) this.lastMs = acceptedAtMs;
    const start = `${machineStart}"kind":"${kind}","acceptedAtMs":${acceptedAtMs}${imported === true ? ',"imported":true' : ''},"eventId":${JSON.stringify(eventId)}`;
    // Between its tokens a device may send line ends; then the payload is kept as text, so that it comes back as it was.
    if (payload.includes(LINE_FEED) || payload.includes(CARRIAGE_RETURN)) {
      this.#write(`${start},"text":${JSON.stringify(Buffer.from(payload).toString())}}\n`);
      return;
    }
    this.#write(start + BODY);
    this.#append(payload);
    this.#append(CLOSING);
  }

  text(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #write(text: string): void {
    this.#reserve(3 * text.length);
    this.#length += this.#bytes.write(text, this.#length);
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * Math.max(this.#bytes.length, more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
