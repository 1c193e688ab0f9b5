import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { isName, machineKey, type MachineId, type MachineKey, type SiteId, type TenantId } from '../domain/ids.ts';
import type { Rejection } from '../domain/reading.ts';
import type { MessageContent } from '../ports/device-gateway.ts';
import { jsonPath, type JsonPath } from './json-path.ts';
import { quote, rejection } from './rejection.ts';

const path = z
  .string()
  .refine((text) => jsonPath(text) !== undefined, 'must be a path such as $.sensor_data or $.items[0].id');
const topic = z
  .string()
  .max(1024)
  .refine((text) => text.split('/').every(isPatternSegment), 'takes plain segments, + and {name} between slashes')
  .refine(
    (text) => !/^(tribo|spBv1\.0|\$[^/]*)\//.test(text),
    'must not begin with tribo/, spBv1.0/ or $: those are not foreign',
  );
/** `plain`, `line-{line}` with names from the topic, or a path into the payload. */
const source = z.string().min(1).max(200);

const mappingSchema = z.strictObject({
  /** Segments in braces are captured: `modax/{device}/sensor_data`. */
  topic,
  tenant: source,
  site: source,
  machine: source,
  id: path.optional(),
  time: path,
  /** Of a number; text is RFC 3339. */
  timeUnit: z.enum(['ms', 's']).default('ms'),
  /** The object that holds name to value, or one entry a metric. */
  metrics: z.union([
    path,
    z
      .array(z.strictObject({ name: z.string(), path, unit: z.string().optional() }))
      .min(1)
      .max(1000),
  ]),
  /** Their name -> ours. */
  rename: z.record(z.string(), z.string()).default({}),
});

/** What a mapping file holds: how other people's topics and payloads are read. YAML or JSON, parsed by whoever reads the file. */
const mappingFileSchema = z.strictObject({
  version: z.literal(1),
  mappings: z.array(mappingSchema).max(200),
});

type Mapping = z.infer<typeof mappingSchema>;

export interface MappedMessage {
  /** Undefined where the payload did not tell; `content` is then unmapped, and the gateway attributes it to the device's own machine. */
  readonly machine: MachineKey | undefined;
  readonly content: MessageContent;
}

/** Reads foreign messages by a site's mapping file. */
export class TopicMapping {
  readonly #mappings: readonly CompiledMapping[];

  /** @param file the parsed file. @throws z.ZodError that names the field and what it takes. */
  constructor(file: unknown) {
    this.#mappings = mappingFileSchema.parse(file).mappings.map((mapping) => new CompiledMapping(mapping));
  }

  /** The topics that it reads, with `+` for each segment that may be any. */
  get topics(): readonly string[] {
    return this.#mappings.map(({ filter }) => filter);
  }

  /** The message as wire.md has it, for the first mapping whose topic matches; undefined where none does. Total: bad payloads come out as unmapped. */
  map(topicName: string, payload: Uint8Array): MappedMessage | undefined {
    const segments = topicName.split('/');
    for (const mapping of this.#mappings) {
      const captured = mapping.match(segments);
      if (captured !== undefined) return mapping.read(captured, payload);
    }
    return undefined;
  }
}

class CompiledMapping {
  readonly #mapping: Mapping;
  readonly #pattern: readonly string[];
  readonly #id: JsonPath | undefined;
  readonly #time: JsonPath;
  readonly #metrics:
    JsonPath | readonly { readonly name: string; readonly path: JsonPath; readonly unit: string | undefined }[];
  readonly #rename: ReadonlyMap<string, string>;

  constructor(mapping: Mapping) {
    this.#mapping = mapping;
    this.#pattern = mapping.topic.split('/');
    this.#id = mapping.id === undefined ? undefined : compile(mapping.id);
    this.#time = compile(mapping.time);
    this.#metrics =
      typeof mapping.metrics === 'string'
        ? compile(mapping.metrics)
        : mapping.metrics.map((metric) => ({ name: metric.name, path: compile(metric.path), unit: metric.unit }));
    this.#rename = new Map(Object.entries(mapping.rename));
  }

  get filter(): string {
    return this.#pattern.map((segment) => (segment.startsWith('{') ? '+' : segment)).join('/');
  }

  /** What the named segments hold, or undefined where the topic is another. */
  match(segments: readonly string[]): ReadonlyMap<string, string> | undefined {
    if (segments.length !== this.#pattern.length) return undefined;
    const captured = new Map<string, string>();
    for (const [index, pattern] of this.#pattern.entries()) {
      const segment = segments[index] ?? '';
      const name = /^\{(.+)\}$/.exec(pattern)?.[1];
      if (name !== undefined) captured.set(name, segment);
      else if (pattern !== '+' && pattern !== segment) return undefined;
    }
    return captured;
  }

  read(captured: ReadonlyMap<string, string>, payload: Uint8Array): MappedMessage {
    let value: unknown;
    try {
      if (!isUtf8(payload))
        return unmapped(undefined, payload, rejection('invalid_utf8', '', 'the payload is not UTF-8'));
      value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8'));
    } catch {
      return unmapped(undefined, payload, rejection('malformed_json', '', 'the payload is not JSON'));
    }
    const [tenant, site, machine] = [this.#mapping.tenant, this.#mapping.site, this.#mapping.machine].map((text) =>
      fill(text, captured, value),
    );
    if (!isName(tenant) || !isName(site) || !isName(machine)) {
      const detail = `tenant, site and machine must be names; the mapping of ${this.#mapping.topic} gave ${quote(tenant)}, ${quote(site)}, ${quote(machine)}`;
      return unmapped(undefined, payload, rejection('unmapped', '', detail));
    }
    const key = machineKey(tenant as TenantId, site as SiteId, machine as MachineId);
    const metrics = this.#readMetrics(value);
    if (metrics === undefined) {
      const detail = `the mapping of ${this.#mapping.topic} found no metrics in the payload: correct its metrics entry`;
      return unmapped(key, payload, rejection('unmapped', '', detail));
    }
    const sent = this.#time(value);
    const ts = typeof sent === 'number' && this.#mapping.timeUnit === 's' ? sent * 1000 : sent;
    const message = { id: this.#id?.(value), ts, metrics };
    return { machine: key, content: { kind: 'telemetry', payload: Buffer.from(JSON.stringify(message)) } };
  }

  #readMetrics(value: unknown): Readonly<Record<string, unknown>> | undefined {
    const found: [string, unknown][] = [];
    if (typeof this.#metrics === 'function') {
      const metrics = this.#metrics(value);
      if (typeof metrics !== 'object' || metrics === null || Array.isArray(metrics)) return undefined;
      for (const [name, metric] of Object.entries(metrics)) found.push([this.#rename.get(name) ?? name, metric]);
    } else {
      for (const { name, path: at, unit } of this.#metrics) {
        const metric = at(value);
        if (metric !== undefined) found.push([name, unit === undefined ? metric : { value: metric, unit }]);
      }
    }
    // fromEntries defines own properties, so that a hostile name stays a name, and is rejected as one.
    return found.length === 0 ? undefined : Object.fromEntries(found);
  }
}

function unmapped(machine: MachineKey | undefined, payload: Uint8Array, reason: Rejection): MappedMessage {
  return { machine, content: { kind: 'unmapped', payload, rejection: reason } };
}

function compile(text: string): JsonPath {
  const compiled = jsonPath(text);
  if (compiled === undefined) throw new RangeError(`${text} is no path`);
  return compiled;
}

/** A source's text: from the payload, or with the topic's captured segments in place of their names. */
function fill(text: string, captured: ReadonlyMap<string, string>, value: unknown): string | undefined {
  const fromPayload = jsonPath(text);
  if (fromPayload === undefined) return text.replace(/\{([^}]+)\}/g, (_all, name: string) => captured.get(name) ?? '');
  const found = fromPayload(value);
  return typeof found === 'string' || typeof found === 'number' ? String(found) : undefined;
}

function isPatternSegment(segment: string): boolean {
  return segment === '+' || /^\{[A-Za-z0-9_]{1,32}\}$/.test(segment) || /^[^+#{}]{1,128}$/.test(segment);
}
