import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { sqliteDeviceRegistryConfigSchema } from '#adapters/embedded/sqlite-device-registry/config.ts';
import { SqliteDeviceRegistry } from '#adapters/embedded/sqlite-device-registry/sqlite-device-registry.ts';
import { mqttDeviceGatewayConfigSchema } from '#adapters/mqtt/mqtt-device-gateway/config.ts';
import { MqttDeviceGateway } from '#adapters/mqtt/mqtt-device-gateway/mqtt-device-gateway.ts';
import { systemClock } from '#core/clock.ts';
import {
  machineKey,
  type DeviceId,
  type MachineId,
  type MachineKey,
  type SiteId,
  type TenantId,
} from '#core/domain/ids.ts';
import type { TopicMapping } from '#core/ingestion/mapping.ts';
import { MosquittoDevice, type MosquittoDeviceOptions } from './mosquitto-device.ts';
import { Mosquitto } from './mosquitto.ts';

export const ACME = 'acme' as TenantId;
export const OTHER = 'other' as TenantId;
export const PRESS = machineKey(ACME, 'akron' as SiteId, 'press-7' as MachineId);
export const PUMP = machineKey(ACME, 'akron' as SiteId, 'pump-2' as MachineId);
export const FOREIGN = machineKey(OTHER, 'akron' as SiteId, 'press-7' as MachineId);

type GatewayChange = Partial<z.input<typeof mqttDeviceGatewayConfigSchema>> & { readonly mapping?: TopicMapping };

/** A broker, a registry of devices, and gateways between them. */
export class MqttWorld implements AsyncDisposable {
  readonly broker: Mosquitto;
  readonly devices: SqliteDeviceRegistry;
  readonly refusals: string[] = [];
  readonly problems: string[] = [];
  readonly #folder: string;
  readonly #connected: MosquittoDevice[] = [];
  readonly #gateways: MqttDeviceGateway[] = [];

  static async open(furtherRules?: string): Promise<MqttWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-mqtt-'));
    const databasePath = registryIn(folder);
    const config = sqliteDeviceRegistryConfigSchema.parse({ databasePath, changePollMs: 10 });
    return new MqttWorld(folder, await Mosquitto.start(furtherRules), await SqliteDeviceRegistry.open(config));
  }

  private constructor(folder: string, broker: Mosquitto, devices: SqliteDeviceRegistry) {
    this.#folder = folder;
    this.broker = broker;
    this.devices = devices;
  }

  /** The file of the registry, for another process. */
  get registryPath(): string {
    return registryIn(this.#folder);
  }

  newGateway(clientId = 'gateway-1', { mapping, ...change }: GatewayChange = {}): MqttDeviceGateway {
    const settings = { ...this.broker.gatewaySettings(clientId), offerAgainMs: 10, drainMs: 1000, ...change };
    const gateway = new MqttDeviceGateway(mqttDeviceGatewayConfigSchema.parse(settings), {
      ...{ devices: this.devices, clock: systemClock },
      ...(mapping && { mapping }),
      refuse: (reason, tenant) => this.refusals.push(tenant === undefined ? reason : `${reason} ${tenant}`),
      onProblem: (what, error) => this.problems.push(`${what}: ${String(error)}`),
    });
    this.#gateways.push(gateway);
    return gateway;
  }

  async addDevice(id: string, tenant = ACME, machines: readonly MachineKey[] = [PRESS]): Promise<void> {
    await this.devices.addDevice({ id: id as DeviceId, tenant, machines });
  }

  /** Under its own name and certificate, unless told otherwise. */
  async connect(id: string, options: Partial<MosquittoDeviceOptions> = {}): Promise<MosquittoDevice> {
    const device = await MosquittoDevice.connect(this.broker, {
      ...{ certificate: this.broker.deviceCertificate(id), as: id },
      ...options,
    });
    this.#connected.push(device);
    return device;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const each of this.#connected) each.client.end(true);
    for (const each of this.#gateways) await each.close();
    await this.devices.close();
    await this.broker[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true });
  }
}

function registryIn(folder: string): string {
  return join(folder, 'registry.db');
}
