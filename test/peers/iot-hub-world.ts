import { openEventHubs } from '#adapters/azure/event-hubs-event-stream/client.ts';
import { openLeaseBlobs } from '#adapters/azure/event-hubs-event-stream/lease-blobs.ts';
import { openCloudToDevice } from '#adapters/azure/iot-hub-device-gateway/client.ts';
import { iotHubDeviceGatewayConfigSchema } from '#adapters/azure/iot-hub-device-gateway/config.ts';
import { IotHubDeviceGateway } from '#adapters/azure/iot-hub-device-gateway/iot-hub-device-gateway.ts';
import { iotHubDeviceRegistryConfigSchema } from '#adapters/azure/iot-hub-device-registry/config.ts';
import { IotHubDeviceRegistry } from '#adapters/azure/iot-hub-device-registry/iot-hub-device-registry.ts';
import { systemClock } from '#core/clock.ts';
import type { DeviceId, MachineKey, TenantId } from '#core/domain/ids.ts';
import { EventHubsSite } from './event-hubs-site.ts';
import { CONTRACT_PLACES, watchOpen } from './gateway-over-log.ts';
import { IotHubDevice } from './iot-hub-device.ts';
import { IotHub } from './iot-hub.ts';

export interface IotHubWorldOptions {
  readonly timeoutMs?: number;
  readonly eventHub?: string;
  readonly consumerGroup?: string;
  readonly changePollMs?: number;
}

/** Event Hubs and Azurite in this process, and the worlds in them: each has an IoT Hub and an event hub of its own. */
export class IotHubWorlds implements AsyncDisposable {
  readonly site: EventHubsSite;

  static async start(): Promise<IotHubWorlds> {
    return new IotHubWorlds(await EventHubsSite.start());
  }

  private constructor(site: EventHubsSite) {
    this.site = site;
  }

  async open({ changePollMs = 100, ...change }: IotHubWorldOptions = {}) {
    const { site } = this;
    const { streams, ...place } = site.settings(2, []);
    const eventHub = streams.metrics;
    const hub = await IotHub.start({ hubs: site.hubs, eventHub });
    const registryConfig = iotHubDeviceRegistryConfigSchema.parse({ ...hub.place, changePollMs });
    const devices = await IotHubDeviceRegistry.open(registryConfig, systemClock, hub.credential);
    const config = iotHubDeviceGatewayConfigSchema.parse({
      ...{ ...place, ...hub.place, eventHub, checkpointPrefix: `${eventHub}/`, offerAgainMs: 20, receiveWaitMs: 100 },
      ...change,
    });
    const [refusals, problems]: [string[], string[]] = [[], []];
    const gateways: IotHubDeviceGateway[] = [];
    const openClients = new Set<object>();
    const reopen = (when: Promise<unknown> = Promise.resolve()) => {
      const dependencies = {
        ...{ devices, refuse: (reason: string) => void refusals.push(reason) },
        onProblem: (what: string, error: unknown) => void problems.push(`${what}: ${String(error)}`),
      };
      const gateway = new IotHubDeviceGateway(config, dependencies, async () => {
        await when;
        const [hubs, blobs] = [await openEventHubs(config), await openLeaseBlobs(config)];
        const cloudToDevice = await openCloudToDevice(config, hub.credential);
        return watchOpen({ hubs, blobs, cloudToDevice }, openClients);
      });
      gateways.push(gateway);
      return gateway;
    };
    return {
      ...{ gateway: reopen(), reopen, openClients, devices, hub, config, eventHub, refusals, problems },
      ...CONTRACT_PLACES,
      connect: async (id: string, secret: string, as = id) =>
        IotHubDevice.connect(hub.devices.listener, as, hub.login(id, secret)),
      addDevice: async (id: string, tenant: TenantId, machines: readonly MachineKey[]) =>
        (await devices.addDevice({ id: id as DeviceId, tenant, machines })).secret,
      async [Symbol.asyncDispose]() {
        for (const gateway of gateways) await gateway.close();
        devices.close();
        await hub[Symbol.asyncDispose]();
        site.hubs.deleteHub(eventHub);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
  }
}
