import { isName } from '../domain/ids.ts';
import type { MetricDefinition } from '../domain/plant.ts';

/** A machine's metrics by name, made for the hot path: one look-up tells a declared, an undeclared and an impossible name apart. */
export class MetricCatalogue {
  readonly #byName: Map<string, MetricDefinition | null>;

  constructor(definitions: readonly MetricDefinition[] = []) {
    this.#byName = new Map(definitions.map((definition) => [definition.name, definition]));
  }

  /** The definition; null for a lawful name that the catalogue does not hold; undefined for a name that no metric may have. */
  lookUp(name: string): MetricDefinition | null | undefined {
    const known = this.#byName.get(name);
    if (known !== undefined || !isName(name)) return known;
    if (this.#byName.size < MAX_REMEMBERED_NAMES) this.#byName.set(name, null);
    return null;
  }
}

/** Undeclared names that are remembered as lawful; beyond that each is checked anew. */
const MAX_REMEMBERED_NAMES = 2000;
