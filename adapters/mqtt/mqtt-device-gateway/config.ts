import { z } from 'zod';
import { judgedOnceRead } from '#adapters/judged-once-read.ts';
import { isLoopback } from '#adapters/loopback.ts';
import { isName } from '#core/domain/ids.ts';

const WEEK_S = 604_800;
const name = z.string().refine(isName, 'must be 1 to 64 of the characters A-Z a-z 0-9 _ . -');

const brokerShape = {
  /** `mqtts://host:port`, the listener for the platform; `mqtt://` on loopback alone. */
  url: z.string().regex(/^mqtts?:\/\/[^\s/?#@]+:\d{1,5}$/, 'must be mqtts://host:port'),
};

/** PEM files of this gateway's own certificate and key, read again at each connection. */
const ownCertificateShape = {
  certificateFile: z.string().min(1).optional(),
  keyFile: z.string().min(1).optional(),
};

/** Where the broker wants a password instead: of the user, in the environment variable. */
const passwordShape = {
  username: z.string().min(1).optional(),
  passwordVariable: z
    .string()
    .regex(/^[A-Z_][A-Z0-9_]*$/)
    .optional(),
};

/** Where devices connect to an MQTT 5 broker of the site, and the platform is its client. */
export const mqttDeviceGatewayConfigSchema = z
  .strictObject({
    ...brokerShape,
    /** `mqtts://host:port` of the listener for devices, which `tribo device add` names. Absent: port 8883 of the same host. */
    devicesUrl: z
      .string()
      .regex(/^mqtts:\/\/[^\s/?#@]+:\d{1,5}$/, 'must be mqtts://host:port')
      .optional(),
    /** PEM file of the authority that issued the broker's certificate, where systems do not know it. */
    caFile: z.string().min(1).optional(),
    ...ownCertificateShape,
    ...passwordShape,
    /** This gateway's name at the broker, which keeps what comes while it is away: the same after each start, another for each gateway. */
    clientId: name,
    /** Gateways of one name share what devices send; absent: this is the only one. Mosquitto 2.0 forgets at a restart that they do. */
    shareName: name.optional(),
    /** First level of devices' topics; the second is the device's id. */
    topicRoot: name.default('device'),
    /** How long the broker keeps what comes while this gateway is away. */
    sessionExpiryS: z.int().min(60).max(4_294_967_294).default(WEEK_S),
    keepAliveS: z.int().min(1).max(65_535).default(30),
    connectTimeoutMs: z.int().min(100).max(60_000).default(10_000),
    /** How long the broker may take to acknowledge a command or a subscription. */
    timeoutMs: z.int().min(100).max(60_000).default(10_000),
    /** After a lost connection, the longest wait before the next attempt. */
    maxReconnectDelayMs: z.int().min(100).max(300_000).default(30_000),
    /** Readings that the broker has sent and that are not acknowledged yet: its Receive Maximum. */
    maxInFlightTelemetry: z.int().min(1).max(65_535).default(1000),
    /** The same of waveforms, which are larger. */
    maxInFlightWaveforms: z.int().min(1).max(65_535).default(100),
    maxPayloadBytes: z
      .int()
      .min(1024)
      .max(16 * 2 ** 20)
      .default(128 * 1024),
    /** A message that intake refused is offered again after this, or when intake is ready. */
    offerAgainMs: z.int().min(1).default(250),
    /** Commands that are remembered until they expire, so that the same one is not sent twice. */
    maxRememberedCommands: z.int().min(1).default(10_000),
    /** How long close() waits for messages on their way. */
    drainMs: z.int().min(0).default(5000),
  })
  .refine(({ url }) => url.startsWith('mqtts:') || isLoopback(new URL(url).hostname), {
    error: 'off loopback the broker is reached by TLS: say mqtts://',
    path: ['url'],
    ...judgedOnceRead(brokerShape),
  })
  .refine(({ certificateFile, keyFile }) => (certificateFile === undefined) === (keyFile === undefined), {
    error: 'a certificate needs its key, and a key its certificate: give both files',
    path: ['keyFile'],
    ...judgedOnceRead(ownCertificateShape),
  })
  .refine(({ username, passwordVariable }) => (username === undefined) === (passwordVariable === undefined), {
    error: 'a user needs a password, and a password its user: give both',
    path: ['passwordVariable'],
    ...judgedOnceRead(passwordShape),
  });

export type MqttDeviceGatewayConfig = z.infer<typeof mqttDeviceGatewayConfigSchema>;
