/** Reads one place of a parsed JSON document; undefined where there is nothing. Only a document's own properties count. */
export type JsonPath = (document: unknown) => unknown;

/** Compiles the small part of JSONPath that names a single place: `$`, `.name`, `['any name']`, `[0]`. Undefined where the text is none. */
export function jsonPath(text: string): JsonPath | undefined {
  if (!PATH.test(text)) return undefined;
  const steps: (string | number)[] = [];
  for (const [, name, quoted, index] of text.matchAll(STEP)) {
    if (index !== undefined) steps.push(Number(index));
    else steps.push(name ?? quoted ?? '');
  }
  return (document) => {
    let value = document;
    for (const step of steps) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
      value = (value as Readonly<Record<string | number, unknown>>)[step];
    }
    return value;
  };
}

const PATH = /^\$(\.[A-Za-z0-9_-]{1,128}|\['[^'\]]{1,128}'\]|\[[0-9]{1,6}\]){0,16}$/;
const STEP = /\.([A-Za-z0-9_-]+)|\['([^'\]]+)'\]|\[([0-9]+)\]/g;
