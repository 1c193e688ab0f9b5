import { Token } from 'cdktf';
import type { Grant } from '../../adapters/permissions.ts';

/** What somebody may do, and on what. */
export interface Right {
  /** Its address at Azure. */
  readonly scope: string;
  /** What tells it from the others: `event-hub-metrics`, or its kind alone where there is one of it. */
  readonly on: string;
  readonly actions: readonly string[];
}

/** The adapter's settings by name, as its declaration has them in angle brackets. */
type Settings = Readonly<Record<string, unknown>>;

/** The address of a thing of a kind (`event hub`, `container`) by its name in the settings. */
export type Addresses = Readonly<Record<string, (name: string) => string>>;

/** What an identity must be allowed for an adapter with these settings: what the adapter declares, on what the settings name, and no more. */
export function rightsFor(grants: readonly Grant[], settings: Settings, addresses: Addresses): readonly Right[] {
  return grants
    .filter(({ isForVerification }) => !isForVerification)
    .flatMap(({ actions, on }) => placesOf(on, settings, addresses).map((place) => ({ ...place, actions })));
}

/** One for each value of the setting that is named; none where it is not there. */
function placesOf(on: string, settings: Settings, addresses: Addresses): readonly Omit<Right, 'actions'>[] {
  const [, kinds = '', setting = ''] = /^([a-z ]+) <(\w+)>$/.exec(on) ?? [];
  const kind = kinds.replace(/^event hubs$/, 'event hub');
  const addressOf = addresses[kind];
  if (!addressOf) throw new Error(`no address is known of ${on}`);
  return valuesOf(settings[setting]).map((name) => ({
    scope: addressOf(name),
    on: (Token.isUnresolved(name) ? kind : `${kind} ${name}`).replaceAll(' ', '-'),
  }));
}

function valuesOf(setting: unknown): readonly string[] {
  if (setting === undefined) return [];
  const values: readonly unknown[] =
    typeof setting === 'object' && setting !== null ? Object.values(setting) : [setting];
  return values.map(String);
}

/** Rights on the same are one: what may be done there is all of them. */
export function together(rights: readonly Right[]): readonly Right[] {
  const merged = new Map<string, Right>();
  for (const right of rights) {
    const known = merged.get(right.on)?.actions ?? [];
    merged.set(right.on, { ...right, actions: [...new Set([...known, ...right.actions])].toSorted() });
  }
  return [...merged.values()];
}

/** Services whose actions are those of the control plane, where others have data apart. */
const CONTROLLED = /^Microsoft\.(Communication|MachineLearningServices)\//;

/** As a role of Azure has them. */
export function asPermissions(actions: readonly string[]): {
  readonly actions: string[];
  readonly dataActions: string[];
} {
  return {
    actions: actions.filter((action) => CONTROLLED.test(action)),
    dataActions: actions.filter((action) => !CONTROLLED.test(action)),
  };
}

/** `messages-receive-send` of two actions: what a role with them is called. */
export function nameOf(actions: readonly string[]): string {
  const verbs = new Map<string, string[]>();
  for (const action of actions) {
    const parts = action.replace(/\/action$/, '').split('/');
    const [noun = '', verb = ''] = parts.slice(-2);
    verbs.set(noun, [...(verbs.get(noun) ?? []), verb]);
  }
  return [...verbs].map(([noun, all]) => [noun, ...all].join('-')).join('-');
}
