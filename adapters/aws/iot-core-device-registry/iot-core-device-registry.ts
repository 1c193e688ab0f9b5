import { randomUUID } from 'node:crypto';
import { systemClock, type Clock } from '#core/clock.ts';
import { isName, machineRef, type DeviceId, type MachineKey, type TenantId } from '#core/domain/ids.ts';
import { isPortError, PortError, type CallOptions, type PortErrorCode } from '#core/errors.ts';
import type { Device, DeviceRegistry, NewDevice } from '#core/ports/device-registry.ts';
import { PolledChanges } from '../../polled-changes.ts';
import { awsCall, type AwsCodes } from '../aws-errors.ts';
import { IOT_CODES } from '../iot-codes.ts';
import { openIotRegistry, type IotRegistryCalls, type Thing, type ThingAttributes } from './client.ts';
import { maxMachines, type IotCoreDeviceRegistryConfig } from './config.ts';
import { credentialsText, parseCredentials } from './device-credentials.ts';
import { CERTIFICATE_ATTRIBUTE, machineAttribute, NO_MACHINE } from './device-policy.ts';

export interface IotCoreDeviceRegistryParts {
  readonly iot: IotRegistryCalls;
  readonly clock?: Clock;
}

/**
 * Devices as things of AWS IoT Core, with an X.509 certificate each; what a device may do follows from its thing's attributes, by the site's policies.
 * Its secret is the certificate and its key, which IoT Core asks for. A device that came by just-in-time provisioning is one like the others.
 */
export class IotCoreDeviceRegistry implements DeviceRegistry {
  readonly #config: IotCoreDeviceRegistryConfig;
  readonly #iot: IotRegistryCalls;
  readonly #clock: Clock;
  /** A thing of no device has their mark. */
  readonly #changes: PolledChanges;

  constructor(config: IotCoreDeviceRegistryConfig, { iot, clock = systemClock }: IotCoreDeviceRegistryParts) {
    this.#config = config;
    this.#iot = iot;
    this.#clock = clock;
    this.#changes = new PolledChanges(config.changePollMs, {
      read: async () => {
        const what = 'look for changed devices';
        const thing = await this.#call(what, {}, (signal) => iot.getThing(config.changesThing, signal));
        return thing?.attributes['change'];
      },
      write: (change) => this.#noteChange({ change }),
    });
  }

  static async open(config: IotCoreDeviceRegistryConfig, clock: Clock): Promise<IotCoreDeviceRegistry> {
    return new IotCoreDeviceRegistry(config, { iot: await openIotRegistry(config), clock });
  }

  async addDevice(given: NewDevice, options: CallOptions = {}): Promise<{ device: Device; secret: string }> {
    const { id, tenant } = given;
    if (!isName(id)) throw new PortError('invalid_argument', 'a device id is 1 to 64 of A-Z a-z 0-9 _ . -');
    const machines = this.#checkMachines(tenant, given.machines);
    const device: Device = { id, tenant, machines, enabled: true, createdAtMs: this.#clock.nowMs() };
    // What is like a thing that is there already would be taken for that one.
    const attributes = { ...this.#attributesOf(device), registration: randomUUID() };
    await this.#call(`add device ${id}`, options, (signal) =>
      this.#iot.createThing(id, this.#config.thingType, attributes, signal),
    );
    try {
      const secret = await this.#issueCertificate(id, options);
      await this.#changes.tell(id);
      return { device, secret };
    } catch (error) {
      await this.removeDevice(id).catch(() => undefined);
      throw error;
    }
  }

  async getDevice(id: DeviceId, options: CallOptions = {}): Promise<Device | undefined> {
    const thing = await this.#find(id, options);
    return thing && deviceOf(thing);
  }

  async listDevices(tenant: TenantId, options: CallOptions = {}): Promise<readonly Device[]> {
    const query = { thingTypeName: this.#config.thingType, attributeName: 'tenant', attributeValue: tenant };
    const things: Thing[] = [];
    let after: string | undefined;
    do {
      const page = await this.#call(`list devices of ${tenant}`, options, (signal) =>
        this.#iot.listThings(query, after, signal),
      );
      // A certificate may have another common name than an id, and so may a thing that came by it: such a one is bound to nothing, and may connect until it is
      // shut out by hand (docs/deployment.md).
      things.push(...page.things.filter(({ name }) => isName(name)));
      after = page.next;
    } while (after !== undefined);
    return things.map(deviceOf).sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  async bindMachines(id: DeviceId, machines: readonly MachineKey[], options: CallOptions = {}): Promise<Device> {
    const device = deviceOf(await this.#require(id, options));
    const bound = { ...device, machines: this.#checkMachines(device.tenant, machines) };
    await this.#update(id, this.#machineAttributes(bound.machines), options);
    await this.#changes.tell(id);
    return bound;
  }

  async replaceSecret(id: DeviceId, options: CallOptions = {}): Promise<string> {
    const thing = await this.#require(id, options);
    const former = await this.#certificatesOf(id, options);
    const secret = await this.#issueCertificate(id, options, deviceOf(thing).enabled);
    for (const certificate of former) await this.#discard(certificate, thing, options);
    await this.#changes.tell(id);
    return secret;
  }

  async setEnabled(id: DeviceId, enabled: boolean, options: CallOptions = {}): Promise<void> {
    await this.#require(id, options);
    await this.#update(id, { enabled: String(enabled) }, options);
    for (const certificate of await this.#certificatesOf(id, options))
      await this.#call(`${enabled ? 'enable' : 'disable'} device ${id}`, options, (signal) =>
        this.#iot.setActive(certificate, enabled, signal),
      );
    await this.#changes.tell(id);
  }

  async removeDevice(id: DeviceId, options: CallOptions = {}): Promise<void> {
    const thing = await this.#find(id, options);
    if (!thing) return;
    for (const certificate of await this.#certificatesOf(id, options)) await this.#discard(certificate, thing, options);
    // It takes a while until a certificate that was detached is so everywhere.
    const codes = { InvalidRequestException: 'unavailable' } as const;
    const what = `remove device ${id}`;
    await this.#call(what, options, (signal) => this.#iot.deleteThing(id, signal), codes);
    await this.#changes.tell(id);
  }

  async authenticate(id: string, secret: string, options: CallOptions = {}): Promise<Device | undefined> {
    const credentials = parseCredentials(secret);
    const device = isName(id) ? await this.getDevice(id as DeviceId, options) : undefined;
    if (!credentials || !device?.enabled) return undefined;
    for (const arn of await this.#certificatesOf(device.id, options)) {
      const certificate = await this.#call(`look at the certificate of device ${id}`, options, (signal) =>
        this.#iot.getCertificate(arn, signal),
      );
      if (certificate.isActive && certificate.pem.trimEnd() === credentials.certificate.trimEnd()) return device;
    }
    return undefined;
  }

  onChange(listener: () => void): () => void {
    return this.#changes.on(listener);
  }

  close(): void {
    this.#changes.close();
    this.#iot.close();
  }

  /** An active certificate of the device, with the site's policies. */
  async #issueCertificate(id: DeviceId, options: CallOptions, isActive = true): Promise<string> {
    const what = `issue a certificate to device ${id}`;
    const { arn, pem, key } = await this.#call(what, options, (signal) => this.#iot.createCertificate(signal));
    try {
      for (const policy of this.#config.policies)
        await this.#call(what, options, (signal) => this.#iot.attachPolicy(policy, arn, signal), {
          // Made with the site, as the type of the things.
          ResourceNotFoundException: 'failed_precondition',
        });
      await this.#call(what, options, (signal) => this.#iot.attach(arn, id, signal));
      if (!isActive) await this.#call(what, options, (signal) => this.#iot.setActive(arn, false, signal));
    } catch (error) {
      // Nobody has its key: of no thing, it would be found by nobody.
      await this.#discard(arn, { name: id, attributes: {} }, {}).catch(() => undefined);
      throw error;
    }
    return credentialsText({ certificate: pem, key });
  }

  /**
   * The certificate is good for nothing from its first step on. One of the site's authority stays, inactive and of no thing: IoT Core would take it for
   * that of a new device, were it unknown again.
   */
  async #discard(arn: string, { name: id, attributes }: Thing, options: CallOptions): Promise<void> {
    const what = `discard a certificate of device ${id}`;
    await this.#call(what, options, (signal) => this.#iot.setActive(arn, false, signal));
    for (const policy of await this.#call(what, options, (signal) => this.#iot.policiesOf(arn, signal)))
      await this.#call(what, options, (signal) => this.#iot.detachPolicy(policy, arn, signal));
    try {
      await this.#call(what, options, (signal) => this.#iot.detach(arn, id, signal));
    } catch (error) {
      if (!hasCode(error, 'not_found')) throw error;
    }
    if (arn.endsWith(`/${attributes[CERTIFICATE_ATTRIBUTE]}`)) return;
    try {
      await this.#call(what, options, (signal) => this.#iot.deleteCertificate(arn, signal));
    } catch (error) {
      // Detaching takes a while; inactive and of no thing, it may as well stay.
      if (!hasCode(error, 'failed_precondition')) throw error;
    }
  }

  #certificatesOf(id: DeviceId, options: CallOptions): Promise<readonly string[]> {
    const what = `list certificates of device ${id}`;
    return this.#call(what, options, (signal) => this.#iot.certificatesOf(id, signal));
  }

  /** The thing of that name, where it is a device's. */
  async #find(id: DeviceId, options: CallOptions): Promise<Thing | undefined> {
    const thing = await this.#call(`get device ${id}`, options, (signal) => this.#iot.getThing(id, signal));
    return thing?.thingType === this.#config.thingType ? thing : undefined;
  }

  async #require(id: DeviceId, options: CallOptions): Promise<Thing> {
    const thing = await this.#find(id, options);
    if (!thing) throw new PortError('not_found', `there is no device ${id}`);
    return thing;
  }

  #update(id: DeviceId, attributes: ThingAttributes, options: CallOptions): Promise<void> {
    return this.#call(`change device ${id}`, options, (signal) => this.#iot.updateThing(id, attributes, signal));
  }

  async #noteChange(attributes: ThingAttributes): Promise<void> {
    const { changesThing } = this.#config;
    const what = 'tell of changed devices';
    try {
      await this.#call(what, {}, (signal) => this.#iot.updateThing(changesThing, attributes, signal));
    } catch (error) {
      if (!hasCode(error, 'not_found')) throw error;
      await this.#call(what, {}, (signal) => this.#iot.createThing(changesThing, undefined, attributes, signal));
    }
  }

  #attributesOf({ tenant, machines, enabled, createdAtMs }: Device): ThingAttributes {
    const texts = { tenant, enabled: String(enabled), createdAtMs: String(createdAtMs) };
    return { ...texts, ...this.#machineAttributes(machines) };
  }

  /** One a machine that the policies have a place for. */
  #machineAttributes(machines: readonly MachineKey[]): ThingAttributes {
    const places = Array.from({ length: maxMachines(this.#config) });
    return Object.fromEntries(places.map((_, index) => [machineAttribute(index), machines[index] ?? NO_MACHINE]));
  }

  #checkMachines(tenant: TenantId, machines: readonly MachineKey[]): readonly MachineKey[] {
    const limit = maxMachines(this.#config);
    if (machines.length > limit)
      throw new PortError(
        'invalid_argument',
        `a device speaks for at most ${limit} machines, got ${machines.length}: add a policy to the site, or a device`,
      );
    const foreign = machines.find((key) => machineRef(key).tenant !== tenant);
    if (foreign !== undefined) throw new PortError('invalid_argument', `${foreign} is not a machine of ${tenant}`);
    return [...new Set(machines)];
  }

  #call<Result>(
    what: string,
    { signal }: CallOptions,
    call: (signal: AbortSignal) => Promise<Result>,
    codes: AwsCodes = {},
  ): Promise<Result> {
    return awsCall({ what, timeoutMs: this.#config.timeoutMs, signal, codes: { ...IOT_CODES, ...codes } }, call);
  }
}

function deviceOf({ name, attributes }: Thing): Device {
  const machines = Object.entries(attributes)
    .filter(([attribute, value]) => MACHINE_ATTRIBUTE.test(attribute) && value !== NO_MACHINE)
    .sort(([left], [right]) => Number(MACHINE_ATTRIBUTE.exec(left)![1]) - Number(MACHINE_ATTRIBUTE.exec(right)![1]))
    .map(([, machine]) => machine as MachineKey);
  return {
    id: name as DeviceId,
    tenant: (attributes['tenant'] ?? '') as TenantId,
    machines,
    // Of one that came by just-in-time provisioning neither is known.
    enabled: attributes['enabled'] !== 'false',
    createdAtMs: Number(attributes['createdAtMs'] ?? 0),
  };
}

const MACHINE_ATTRIBUTE = /^m(\d+)$/;

function hasCode(error: unknown, code: PortErrorCode): boolean {
  return isPortError(error) && error.code === code;
}
