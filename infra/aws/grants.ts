import type { Grant } from '../../adapters/permissions.ts';
import type { Statement } from './policy.ts';

/** Where what an adapter declares is to be found. */
export interface GrantPlace {
  readonly partition: string;
  readonly account: string;
  /** With which all that holds data is encrypted. */
  readonly keyArn: string;
}

/** The adapter's settings by name, as its declaration has them in angle brackets. */
export type Settings = Readonly<Record<string, unknown>>;

/** What a role must be allowed for an adapter with these settings: what the adapter declares, on what the settings name, and no more. */
export function statementsFor(grants: readonly Grant[], settings: Settings, place: GrantPlace): readonly Statement[] {
  return grants
    .filter(({ isForVerification }) => !isForVerification)
    .flatMap(({ actions, on }): readonly Statement[] => {
      const Resource = resourcesOf(on, settings, place);
      return Resource.length === 0 ? [] : [{ Effect: 'Allow', Action: actions, Resource }];
    });
}

/** One ARN for each value of the settings that it names; none where a setting is not there. */
function resourcesOf(on: string, settings: Settings, { partition, account, keyArn }: GrantPlace): readonly string[] {
  if (/^(their|its) key$|^key </.test(on)) return [keyArn];
  if (on === '*') return ['*'];
  // Declarations leave the account open, and name the partition `aws`.
  const pattern = on.replace(/^arn:aws:([a-z0-9-]+):([^:]*):\*:/, `arn:${partition}:$1:$2:${account}:`);
  const placed = pattern.replace(/^arn:aws:/, `arn:${partition}:`);
  return [...placed.matchAll(/<(\w+)>/g)].reduce<readonly string[]>(
    (arns, [bracketed, name = '']) =>
      arns.flatMap((arn) => valuesOf(settings[name]).map((value) => arn.replace(bracketed, () => value))),
    [placed],
  );
}

function valuesOf(setting: unknown): readonly string[] {
  if (setting === undefined) return [];
  const values: readonly unknown[] =
    typeof setting === 'object' && setting !== null ? Object.values(setting) : [setting];
  return values.map(String);
}
