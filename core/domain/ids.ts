declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type TenantId = Branded<'TenantId'>;
export type SiteId = Branded<'SiteId'>;
export type MachineId = Branded<'MachineId'>;
export type SensorId = Branded<'SensorId'>;
export type DeviceId = Branded<'DeviceId'>;
export type RuleId = Branded<'RuleId'>;
export type AlarmId = Branded<'AlarmId'>;
/** `tenant/site/machine`: the partition key of every stream. */
export type MachineKey = Branded<'MachineKey'>;

/** Names that a topic, a path or an object key may carry (wire.md), less those that mean something to a file system or to JavaScript. */
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const RESERVED: ReadonlySet<string> = new Set(['.', '..', '__proto__', 'constructor', 'prototype']);

export function isName(text: unknown): text is string {
  return typeof text === 'string' && NAME.test(text) && !RESERVED.has(text);
}

/** Parses a name of the given kind, or throws a RangeError that says what is allowed. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller names the brand
export function parseName<Id extends string>(kind: string, text: unknown): Id {
  if (isName(text)) return text as Id;
  const shown = typeof text === 'string' ? JSON.stringify(text.slice(0, 100)) : typeof text;
  throw new RangeError(`${kind} must be 1 to 64 of the characters A-Z a-z 0-9 _ . - (and not . or ..), got ${shown}`);
}

export function machineKey(tenant: TenantId, site: SiteId, machine: MachineId): MachineKey {
  return `${tenant}/${site}/${machine}` as MachineKey;
}

export interface MachineRef {
  readonly tenant: TenantId;
  readonly site: SiteId;
  readonly machine: MachineId;
}

/** The tenant alone: what is asked for each event of a stream. */
export function tenantOf(key: MachineKey): TenantId {
  return key.slice(0, key.indexOf('/')) as TenantId;
}

export function machineRef(key: MachineKey): MachineRef {
  const [tenant, site, machine] = key.split('/');
  return { tenant: tenant as TenantId, site: site as SiteId, machine: machine as MachineId };
}
