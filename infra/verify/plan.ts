import { isDeepStrictEqual } from 'node:util';

/** What a plan would do to a resource; `attributes` are those that would be others, at their top. */
export interface Change {
  readonly type: string;
  readonly address: string;
  readonly actions: readonly string[];
  readonly attributes: readonly string[];
}

/** Differences that are moto's and not the stacks': by type and attribute, each with its reason. */
export type Drift = Readonly<Record<string, string>>;

interface PlanJson {
  readonly resource_changes?: readonly {
    readonly type: string;
    readonly address: string;
    readonly mode: string;
    readonly change: {
      readonly actions: readonly string[];
      readonly before: Values | null;
      readonly after: Values | null;
      readonly after_unknown?: Values;
    };
  }[];
}

type Values = Readonly<Record<string, unknown>>;

/** What a plan (`terraform show -json`) would change; reading is no change. */
export function changesOf(plan: unknown): readonly Change[] {
  return ((plan as PlanJson).resource_changes ?? [])
    .filter(({ mode, change }) => mode === 'managed' && !isDeepStrictEqual(change.actions, ['no-op']))
    .map(({ type, address, change: { actions, before, after, after_unknown } }) => {
      const [was, willBe, unknown] = [before ?? {}, after ?? {}, after_unknown ?? {}];
      const names = [...new Set([...Object.keys(was), ...Object.keys(willBe), ...Object.keys(unknown)])];
      const attributes = names.filter(
        (name) => isUnknown(unknown[name]) || !isDeepStrictEqual(was[name], willBe[name]),
      );
      return { type, address, actions, attributes };
    });
}

/** Anything within is not known before it is applied. */
function isUnknown(value: unknown): boolean {
  return value === true || (typeof value === 'object' && value !== null && Object.values(value).some(isUnknown));
}

/** What a second plan has no reason to change, a line each; `used` gets each exception that was needed. */
export function unexplained(changes: readonly Change[], drift: Drift, used: Set<string>): readonly string[] {
  return changes.flatMap(({ type, address, actions, attributes }) => {
    const isUpdate = isDeepStrictEqual(actions, ['update']);
    const rest = attributes.filter((attribute) => {
      const key = `${type}.${attribute}`;
      if (!isUpdate || !(key in drift)) return true;
      used.add(key);
      return false;
    });
    return isUpdate && attributes.length > 0 && rest.length === 0
      ? []
      : [`${address}: ${actions.join(', ')}: ${rest.join(', ')}`];
  });
}
