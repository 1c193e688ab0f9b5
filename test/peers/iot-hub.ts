import { randomUUID } from 'node:crypto';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { AccessToken, TokenCredential } from '@azure/identity';
import type { EventHubs } from './event-hubs.ts';
import { IotHubDevices, sasToken, type DeviceboundMessage } from './iot-hub-devices.ts';
import { IotHubRegistry, type HubDevice } from './iot-hub-registry.ts';
import { IotHubService } from './iot-hub-service.ts';
import { TlsPeer } from './tls-peer.ts';

const HOST = 'peer.azure-devices.net';
/** What tokens have to be for. */
export const HUB_RESOURCE = 'https://iothubs.azure.net';

/** Where the routes put messages and connections. */
interface Route {
  readonly hubs: EventHubs;
  readonly eventHub: string;
}

/**
 * A peer of Azure IoT Hub, ours, as there is no emulator.
 *
 * **It is** what the vendor's service SDK (azure-iothub) and a device's MQTT client meet: the registry and twins over HTTPS (iot-hub-registry.ts),
 * messages to devices and their feedback over AMQP (iot-hub-service.ts), devices over MQTT with their keys' tokens, queues and topics
 * over TLS (iot-hub-devices.ts), and a route of messages and connection states into an event hub of event-hubs.ts.
 *
 * **It is not** IoT Hub: no throttling, quota or latency of its own; connections are told at once and one by one, not as a state each 60 s; no
 * certificates of devices, no AMQP or HTTPS of devices but {@link IotHubDevices.abandon}; nothing is taken from a comparison with the
 * service, all from its documents, which each file names.
 */
export class IotHub implements AsyncDisposable {
  readonly host = HOST;
  readonly registry: IotHubRegistry;
  readonly rest: TlsPeer;
  readonly devices: IotHubDevices;
  readonly service: IotHubService;
  /** Whose tokens it takes; others are of a {@link AzureIdentity}. */
  readonly credential: TokenCredential = { getToken: async (scopes) => this.#token(scopes) };
  /** How long tokens are good for. */
  tokenMs = 3_600_000;
  readonly #trusted = getCACertificates('default');
  readonly #route: Route | undefined;
  #sequence = 0;

  static async start(route?: Route): Promise<IotHub> {
    // The registry tells the devices' side, and that knows the registry.
    const later = {} as { devices: IotHubDevices; hub: IotHub };
    const registry = new IotHubRegistry({ changed: (device, isGone) => later.devices.changed(device, isGone) });
    const devices = await IotHubDevices.start(HOST, registry.devices, {
      sent: (device, bag, body) => later.hub.#sent(device, bag, body),
      connection: (device, isConnected) => later.hub.#connection(device, isConnected),
      outcome: (device, message, statusCode) => later.hub.#outcome(device, message, statusCode),
    });
    const service = await IotHubService.start({
      tokens: registry.tokens,
      enqueue: (device, message) => devices.enqueue(device, message),
    });
    const rest = await TlsPeer.start((request) => registry.answer(request));
    return Object.assign(later, { devices, hub: new IotHub({ registry, rest, devices, service }, route) }).hub;
  }

  private constructor(
    { registry, rest, devices, service }: Pick<IotHub, 'registry' | 'rest' | 'devices' | 'service'>,
    route: Route | undefined,
  ) {
    this.registry = registry;
    this.rest = rest;
    this.devices = devices;
    this.service = service;
    this.#route = route;
    // The SDK has no setting for whom its AMQP connections trust.
    setDefaultCACertificates([...this.#trusted, ...this.authorities]);
  }

  /** Settings by which the platform reaches it. */
  get place() {
    const [https, amqps] = [this.rest.url, this.service.uri].map((url) => Number(new URL(url).port));
    return { host: this.host, peerPorts: { https, amqps } };
  }

  /** What the platform has to trust. */
  get authorities(): readonly string[] {
    return [this.rest.ca, this.service.ca];
  }

  /** What a device signs in with, whose secret is the key. */
  login(device: string, key: string): { readonly username: string; readonly password: string } {
    // As the vendor's libraries of devices do.
    if (Buffer.from(key, 'base64').toString('base64') !== key) throw new Error('the key is not base64');
    return { username: `${this.host}/${device}/?api-version=2021-04-12`, password: sasToken(this.host, device, key) };
  }

  /** Puts an event where the route puts a device's, with other properties. */
  route(device: string, systemProperties: Readonly<Record<string, unknown>>, properties: object, body: Buffer): void {
    this.#route?.hubs.append(this.#route.eventHub, device, {
      ...{ body, properties },
      annotations: { 'iothub-connection-device-id': device, 'iothub-enqueuedtime': Date.now(), ...systemProperties },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    setDefaultCACertificates(this.#trusted);
    await this.devices[Symbol.asyncDispose]();
    await this.service[Symbol.asyncDispose]();
    await this.rest[Symbol.asyncDispose]();
  }

  #token(scopes: string | string[]): AccessToken {
    if (String(scopes) !== `${HUB_RESOURCE}/.default`) throw new Error(`a token of ${String(scopes)} is no use`);
    const token = randomUUID();
    this.registry.tokens.add(token);
    return { token, expiresOnTimestamp: Date.now() + this.tokenMs };
  }

  /** https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-construct */
  #sent(device: HubDevice, bag: Readonly<Record<string, string>>, body: Buffer): void {
    const own = Object.entries(bag).filter(([name]) => !name.startsWith('$.'));
    const method = { scope: 'device', type: 'sas', issuer: 'iothub', acceptingIpFilterRule: null };
    const system = {
      'iothub-connection-auth-method': JSON.stringify(method),
      'iothub-connection-auth-generation-id': device.generationId,
      'iothub-message-source': 'Telemetry',
    };
    this.route(device.deviceId, system, Object.fromEntries(own), body);
  }

  /** https://learn.microsoft.com/azure/iot-hub/iot-hub-non-telemetry-event-schema */
  #connection({ deviceId }: HubDevice, isConnected: boolean): void {
    const properties = {
      ...{ hubName: 'peer', deviceId, opType: isConnected ? 'deviceConnected' : 'deviceDisconnected' },
      'iothub-message-schema': 'deviceConnectionStateNotification',
      operationTimestamp: new Date().toISOString(),
    };
    const sequenceNumber = (++this.#sequence).toString(16).toUpperCase().padStart(64, '0');
    const body = Buffer.from(JSON.stringify({ sequenceNumber }));
    this.route(deviceId, { 'iothub-message-source': 'deviceConnectionStateEvents' }, properties, body);
  }

  #outcome({ deviceId, generationId }: HubDevice, { id, ack }: DeviceboundMessage, statusCode: string): void {
    const isWanted = ack === 'full' || ack === (statusCode === 'Success' ? 'positive' : 'negative');
    if (!isWanted || id === undefined) return;
    this.service.tell({
      ...{ originalMessageId: id, enqueuedTimeUtc: new Date().toISOString(), statusCode, description: statusCode },
      ...{ deviceId, deviceGenerationId: generationId },
    });
  }
}
