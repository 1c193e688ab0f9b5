import { z } from 'zod';

type JsonSchema = Record<string, unknown>;

/**
 * JSON Schemas of the API's own schemas, the named ones as components that others refer to. A schema that answers and requests share may
 * differ in what must be there (defaults), so what requests use of it has the name with `Input`.
 */
export class ComponentSchemas {
  readonly #prefix: string;
  readonly #components = new Map<string, JsonSchema>();
  readonly #outputs = new Set<string>();

  /** `prefix` is where the document keeps them, for instance `#/components/schemas/`. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** What an answer holds. All answers come before the first request. */
  output(schema: z.ZodType): JsonSchema {
    return this.#convert(schema, 'output', (id) => {
      this.#outputs.add(id);
      return id;
    });
  }

  /** What a request holds. */
  input(schema: z.ZodType): JsonSchema {
    return this.#convert(schema, 'input', (id) => (this.#outputs.has(id) ? `${id}Input` : id));
  }

  /** By name, in its order. */
  all(): Record<string, JsonSchema> {
    return Object.fromEntries([...this.#components].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #convert(schema: z.ZodType, io: 'input' | 'output', nameOf: (id: string) => string): JsonSchema {
    const {
      $schema: _dialect,
      $defs: definitions = {},
      ...root
    } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
    const names = new Map(Object.keys(definitions).map((id) => [id, nameOf(id)]));
    for (const [id, definition] of Object.entries(definitions)) {
      this.#components.set(names.get(id)!, this.#tidy(definition, names) as JsonSchema);
    }
    const id = schema.meta()?.id;
    if (id === undefined || '$ref' in root) return this.#tidy(root, names) as JsonSchema;
    const name = nameOf(id);
    this.#components.set(name, this.#tidy(root, names) as JsonSchema);
    return { $ref: this.#prefix + name };
  }

  /** References to components in place of those into the schema itself; `id` is the component's name already. */
  #tidy(value: unknown, names: ReadonlyMap<string, string>): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#tidy(each, names));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).flatMap(([key, each]: [string, unknown]): [string, unknown][] => {
      if (key === '$ref' && typeof each === 'string') {
        const id = each.replace('#/$defs/', '');
        return [[key, this.#prefix + (names.get(id) ?? id)]];
      }
      if (key === 'properties') return [[key, this.#tidyProperties(each as JsonSchema, names)]];
      return key === 'id' || key === '$id' ? [] : [[key, this.#tidy(each, names)]];
    });
    return Object.fromEntries(entries);
  }

  /** Under `properties`, `id` is a field like any other. */
  #tidyProperties(properties: JsonSchema, names: ReadonlyMap<string, string>): JsonSchema {
    return Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, this.#tidy(schema, names)]));
  }
}
