import type { CallOptions } from '../errors.ts';
import type { DeviceId, MachineKey, TenantId } from '../domain/ids.ts';

/** Devices, their credentials and the machines each may speak for. */
export interface DeviceRegistry {
  /** Registers a device bound to machines of its tenant and returns its secret, which is shown once and kept only as a hash. @throws PortError already_exists. */
  addDevice(device: NewDevice, options?: CallOptions): Promise<{ readonly device: Device; readonly secret: string }>;
  /** The device, or undefined where there is none of that id. */
  getDevice(id: DeviceId, options?: CallOptions): Promise<Device | undefined>;
  /** All devices of the tenant, disabled ones included, in order of id. */
  listDevices(tenant: TenantId, options?: CallOptions): Promise<readonly Device[]>;
  /** Replaces the device's bindings. @throws PortError not_found. */
  bindMachines(id: DeviceId, machines: readonly MachineKey[], options?: CallOptions): Promise<Device>;
  /**
   * Gives the device a new secret, shown this once; the former authenticates no more, and what connected with it stays connected.
   * @throws PortError not_found.
   */
  replaceSecret(id: DeviceId, options?: CallOptions): Promise<string>;
  /** A disabled device does not authenticate; its secret and bindings are kept. @throws PortError not_found. */
  setEnabled(id: DeviceId, enabled: boolean, options?: CallOptions): Promise<void>;
  /** Forgets the device and its secret; one that is not there is no error. */
  removeDevice(id: DeviceId, options?: CallOptions): Promise<void>;
  /** The device when the secret is right and it is enabled, else undefined. Takes the same time either way. */
  authenticate(id: string, secret: string, options?: CallOptions): Promise<Device | undefined>;
  /** Calls back, soon and at least once, after any change of devices; returns how to stop. */
  onChange(listener: () => void): () => void;
}

/** A device as it is registered; its machines belong to its tenant. */
export interface NewDevice {
  readonly id: DeviceId;
  readonly tenant: TenantId;
  readonly machines: readonly MachineKey[];
}

/** A registered device; its secret is nowhere to be read. */
export interface Device extends NewDevice {
  readonly enabled: boolean;
  readonly createdAtMs: number;
}
