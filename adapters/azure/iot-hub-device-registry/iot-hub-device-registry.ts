import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { TokenCredential } from '@azure/identity';
import { systemClock, type Clock } from '#core/clock.ts';
import { isName, machineRef, type DeviceId, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import { isPortError, PortError, type CallOptions, type PortErrorCode } from '#core/errors.ts';
import type { Device, DeviceRegistry, NewDevice } from '#core/ports/device-registry.ts';
import { PolledChanges } from '../../polled-changes.ts';
import { iotHubCall } from '../iot-hub-errors.ts';
import { ChangeNotes } from './change-notes.ts';
import { byKey, openIotHubRegistry, type HubIdentity, type HubTwin, type IotHubRegistryCalls } from './client.ts';
import type { IotHubDeviceRegistryConfig } from './config.ts';
import { deviceOf, isOf, MAX_MACHINES, tagsOf } from './device-tags.ts';

export interface IotHubDeviceRegistryParts {
  readonly hub: IotHubRegistryCalls;
  readonly clock?: Clock;
}

const KEY_BYTES = 32;
/** Somebody else may be first so often. */
const ATTEMPTS = 5;
const OTHERS_WERE_FIRST: ReadonlySet<PortErrorCode> = new Set(['failed_precondition', 'already_exists']);

/**
 * Devices as identities of an IoT Hub, which authenticates them; tenant and machines are tags of their twins. A device's secret is its symmetric key,
 * which the hub keeps as it is. A device that came by the provisioning service, whatever it signs in by, is one like the others once its tags
 * name the tenant.
 */
export class IotHubDeviceRegistry implements DeviceRegistry {
  readonly #config: IotHubDeviceRegistryConfig;
  readonly #hub: IotHubRegistryCalls;
  readonly #clock: Clock;
  readonly #notes: ChangeNotes;
  readonly #changes: PolledChanges;

  constructor(config: IotHubDeviceRegistryConfig, { hub, clock = systemClock }: IotHubDeviceRegistryParts) {
    this.#config = config;
    this.#hub = hub;
    this.#clock = clock;
    this.#notes = new ChangeNotes(hub, config.changesDevice, clock);
    this.#changes = new PolledChanges(config.changePollMs, {
      read: () => this.#call('look for changed devices', {}, () => this.#notes.mark()),
      write: (mark, id) => this.#again('tell of changed devices', {}, () => this.#notes.add(mark, id)),
    });
  }

  static async open(
    config: IotHubDeviceRegistryConfig,
    clock: Clock = systemClock,
    test?: TokenCredential,
  ): Promise<IotHubDeviceRegistry> {
    return new IotHubDeviceRegistry(config, { hub: await openIotHubRegistry(config, test), clock });
  }

  async addDevice(given: NewDevice, options: CallOptions = {}): Promise<{ device: Device; secret: string }> {
    const { id, tenant } = given;
    if (!isName(id)) throw new PortError('invalid_argument', 'a device id is 1 to 64 of A-Z a-z 0-9 _ . -');
    if (id === this.#config.changesDevice)
      throw new PortError('invalid_argument', `${id} is the changesDevice of the registry: choose another name`);
    const machines = checkMachines(tenant, given.machines);
    const device: Device = { id, tenant, machines, enabled: true, createdAtMs: this.#clock.nowMs() };
    const secret = randomBytes(KEY_BYTES).toString('base64');
    const identity = { isEnabled: true, authentication: byKey(secret) };
    await this.#call(`add device ${id}`, options, () => this.#hub.create(id, identity, tagsOf(device)));
    await this.#changes.tell(id);
    return { device, secret };
  }

  async getDevice(id: DeviceId, options: CallOptions = {}): Promise<Device | undefined> {
    const twin = await this.#find(id, options);
    return twin && deviceOf(twin);
  }

  /** What the hub's index knows, which is minutes late, and what was changed meanwhile. */
  async listDevices(tenant: TenantId, options: CallOptions = {}): Promise<readonly Device[]> {
    const what = `list devices of ${tenant}`;
    // The notes first: what changes later is not asked for.
    const changed = await this.#call(what, options, () => this.#notes.recent());
    const indexed = await this.#call(what, options, () => this.#hub.query(`tags.tribo.tenant = '${tenant}'`));
    const found = new Map(indexed.map((twin) => [twin.deviceId, twin]));
    const twins = await Promise.all(changed.map(async (id) => [id, await this.#find(id, options)] as const));
    for (const [id, twin] of twins)
      if (twin) found.set(id, twin);
      else found.delete(id);
    const devices = [...found.values()].filter(isOf).map(deviceOf);
    return devices.filter((device) => device.tenant === tenant).sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  async bindMachines(id: DeviceId, machines: readonly MachineKey[], options: CallOptions = {}): Promise<Device> {
    const bound = await this.#again(`bind device ${id}`, options, async () => {
      const twin = await this.#require(id, options);
      const device = deviceOf(twin);
      const changed = { ...device, machines: checkMachines(device.tenant, machines) };
      await this.#hub.changeTags(id, twin.etag, tagsOf(changed));
      return changed;
    });
    await this.#changes.tell(id);
    return bound;
  }

  async replaceSecret(id: DeviceId, options: CallOptions = {}): Promise<string> {
    const secret = randomBytes(KEY_BYTES).toString('base64');
    await this.#changeIdentity(`replace the key of device ${id}`, id, { authentication: byKey(secret) }, options);
    return secret;
  }

  async setEnabled(id: DeviceId, isEnabled: boolean, options: CallOptions = {}): Promise<void> {
    await this.#changeIdentity(`${isEnabled ? 'enable' : 'disable'} device ${id}`, id, { isEnabled }, options);
  }

  async removeDevice(id: DeviceId, options: CallOptions = {}): Promise<void> {
    if (!(await this.#find(id, options))) return;
    await this.#call(`remove device ${id}`, options, () => this.#hub.delete(id));
    await this.#changes.tell(id);
  }

  async authenticate(id: string, secret: string, options: CallOptions = {}): Promise<Device | undefined> {
    const device = isName(id) ? await this.getDevice(id as DeviceId, options) : undefined;
    if (!device?.enabled) return undefined;
    const identity = await this.#call(`authenticate device ${id}`, options, () => this.#hub.identity(id));
    const { type, symmetricKey } = identity?.authentication ?? {};
    if (type !== 'sas' || identity?.isEnabled !== true) return undefined;
    if (typeof symmetricKey?.primaryKey !== 'string')
      throw new PortError('permission_denied', `IoT Hub does not show the keys of device ${id} to this process`);
    return isSame(secret, symmetricKey.primaryKey) ? device : undefined;
  }

  onChange(listener: () => void): () => void {
    return this.#changes.on(listener);
  }

  close(): void {
    this.#changes.close();
  }

  async #changeIdentity(what: string, id: DeviceId, change: Partial<HubIdentity>, options: CallOptions): Promise<void> {
    await this.#again(what, options, async () => {
      await this.#require(id, options);
      const identity = await this.#hub.identity(id);
      if (!identity) throw absent(id);
      const { etag, ...now } = identity;
      await this.#hub.changeIdentity(id, etag, { ...now, ...change });
    });
    await this.#changes.tell(id);
  }

  /** The twin of that name, where it is a device's. */
  async #find(id: string, options: CallOptions): Promise<HubTwin | undefined> {
    const twin = await this.#call(`get device ${id}`, options, () => this.#hub.twin(id));
    return twin && isOf(twin) ? twin : undefined;
  }

  async #require(id: DeviceId, options: CallOptions): Promise<HubTwin> {
    const twin = await this.#find(id, options);
    if (!twin) throw absent(id);
    return twin;
  }

  /** Reads and changes anew where somebody else was first. */
  async #again<Result>(what: string, options: CallOptions, make: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++)
      try {
        return await this.#call(what, options, make);
      } catch (error) {
        if (!isPortError(error) || !OTHERS_WERE_FIRST.has(error.code)) throw error;
        if (attempt === ATTEMPTS)
          throw new PortError('unavailable', `${what}: others change it all the time`, { cause: error });
      }
  }

  #call<Result>(what: string, { signal }: CallOptions, make: () => Promise<Result>): Promise<Result> {
    return iotHubCall({ what, timeoutMs: this.#config.timeoutMs, signal }, make);
  }
}

function checkMachines(tenant: TenantId, machines: readonly MachineKey[]): readonly MachineKey[] {
  if (machines.length > MAX_MACHINES)
    throw new PortError(
      'invalid_argument',
      `a device speaks for at most ${MAX_MACHINES} machines, got ${machines.length}: add a device`,
    );
  const foreign = machines.find((key) => machineRef(key).tenant !== tenant);
  if (foreign !== undefined) throw new PortError('invalid_argument', `${foreign} is not a machine of ${tenant}`);
  return [...new Set(machines)];
}

function isSame(secret: string, key: string): boolean {
  const [given, kept] = [Buffer.from(secret), Buffer.from(key)];
  return given.length === kept.length && timingSafeEqual(given, kept);
}

function absent(id: DeviceId): PortError {
  return new PortError('not_found', `there is no device ${id}`);
}
