/** What is used of a JSON Schema, as zod writes them. */
export interface Field {
  readonly type?: string;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly required?: readonly string[];
  readonly items?: Field;
}

/** The part of a schema that a value at a place is held to. */
export function fieldAt(root: Field, at: readonly (string | number)[]): Field {
  return at.reduce<Field>(
    (field, step) => (typeof step === 'number' ? field.items : field.properties?.[step]) ?? {},
    root,
  );
}

export function keysOf({ properties = {} }: Field): readonly string[] {
  return Object.keys(properties);
}

/** What a field takes, in words. */
export function allowedBy(field: Field): string {
  if (field.enum) return field.enum.length === 1 ? String(field.enum[0]) : `one of ${field.enum.join(', ')}`;
  if (field.const !== undefined) return JSON.stringify(field.const);
  switch (field.type) {
    case 'integer':
      return `a whole number${between(field.minimum, field.maximum)}`;
    case 'number':
      return `a number${between(field.minimum, field.maximum)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list of ${field.minItems ?? 0}..${field.maxItems ?? 'any'}`;
    case 'object':
      return `a mapping of ${keysOf(field).join(', ')}`;
    default:
      return 'text';
  }
}

function between(least: number | undefined, most: number | undefined): string {
  return least === undefined ? '' : `, ${least}..${most ?? ''}`;
}
