import { z } from 'zod';
import { LINK_ADDRESSES } from '#services/shared/rpc/link-address.ts';

/** One setting: where it may be given, what is allowed, and what it means. The key is its name in the configuration file. */
export interface Setting {
  readonly env: string;
  /** Without the leading dashes. */
  readonly flag: string;
  readonly schema: z.ZodType;
  /** What is allowed, in words: completes "must be ...". */
  readonly allowed: string;
  readonly help: string;
  /** Shown in `.env.example` where there is no default. */
  readonly example?: string;
}

const port = z.coerce.number().int().min(0).max(65_535);
const days = z.coerce.number().int().min(1).max(3650);
const text = z.string().min(1);
const flag = z
  .union([z.boolean(), z.enum(['true', 'false', '1', '0', 'yes', 'no'])])
  .transform((value) => value === true || value === 'true' || value === '1' || value === 'yes');
/** Normal form: without a path, and the port given where the scheme is not HTTP's. */
const origin = (schemes: readonly string[]) =>
  text
    .transform((value, context) => {
      const url = URL.parse(value);
      const isOrigin = url?.host && schemes.includes(url.protocol.slice(0, -1)) && /^[^/]+\/\/[^/?#@]+\/?$/.test(value);
      if (isOrigin) return `${url.protocol}//${url.hostname}${portOf(url)}`;
      context.addIssue({ code: 'custom', message: 'no origin' });
      return z.NEVER;
    })
    .optional();
const portOf = ({ protocol, port: given }: URL): string => {
  const usual = { 'mqtt:': '1883', 'mqtts:': '8883' }[protocol] ?? '';
  return (given || usual) && `:${given || usual}`;
};
const PORT = 'a port number, 0 to 65535 (0 takes any free one)';
const DAYS = 'whole days, 1 to 3650';
const SWITCH = 'true or false';

/** Everything that can be configured, in the order in which it is documented. */
export const settings = {
  host: {
    env: 'TRIBO_HOST',
    flag: 'host',
    schema: text.default('127.0.0.1'),
    allowed: 'an address of this machine',
    help: 'Address to listen on.',
  },
  mqttPort: {
    env: 'TRIBO_MQTT_PORT',
    flag: 'mqtt-port',
    schema: port.default(1883),
    allowed: PORT,
    help: 'Port of the MQTT broker.',
  },
  httpPort: {
    env: 'TRIBO_HTTP_PORT',
    flag: 'http-port',
    schema: port.default(8080),
    allowed: PORT,
    help: 'Port of the API and the dashboard.',
  },
  dataDir: {
    env: 'TRIBO_DATA_DIR',
    flag: 'data-dir',
    schema: text.default('.tribo'),
    allowed: 'a folder',
    help: 'Where everything is kept.',
  },
  demo: {
    env: 'TRIBO_DEMO',
    flag: 'demo',
    schema: flag.default(true),
    allowed: SWITCH,
    help: 'Start the demo plant of simulated machines.',
  },
  demoSpeed: {
    env: 'TRIBO_DEMO_SPEED',
    flag: 'demo-speed',
    schema: z.coerce.number().positive().max(1000).default(1),
    allowed: 'a number above 0, at most 1000',
    help: 'How fast the demo machines age; 1 shows a bearing fault within two minutes.',
  },
  split: {
    env: 'TRIBO_SPLIT',
    flag: 'split',
    schema: flag.default(false),
    allowed: SWITCH,
    help: 'Run each service as a process of its own.',
  },
  operationPort: {
    env: 'TRIBO_OPERATION_PORT',
    flag: 'operation-port',
    schema: port.max(65_000).default(0),
    allowed: 'a port number, 0 to 65000 (0 takes any free one)',
    help: 'Loopback port for health and metrics of a service that runs as a process of its own; with --split the supervisor has it, and the services those after it. The port taken is in run/<service>.json of the data folder.',
  },
  linkPort: {
    env: 'TRIBO_LINK_PORT',
    flag: 'link-port',
    schema: port.optional(),
    allowed: PORT,
    help: 'Where a service that runs apart from the others, without their data folder, answers them: TLS on all addresses of its machine, for those alone that have the same key. Without it services meet in the data folder.',
    example: '9443',
  },
  linkOver: {
    env: 'TRIBO_LINK_OVER',
    flag: 'link-over',
    schema: z.enum(['tcp', 'websocket']).default('tcp'),
    allowed: 'tcp or websocket',
    help: 'What the port of the links takes: websocket where nothing but HTTP gets through to it; the same TLS is within. It answers `GET /health/live` too then.',
  },
  linkAddresses: {
    env: 'TRIBO_LINK_ADDRESSES',
    flag: 'link-addresses',
    schema: z.string().regex(LINK_ADDRESSES).optional(),
    allowed:
      'a list of service=host:port, such as timeseries-service=timeseries.tribo.internal:9443, or service=wss://host[:port][/path], a service once or more often',
    help: 'Where a service that runs apart reaches the others; wss:// (ws:// where nothing ends TLS on the way) those whose TRIBO_LINK_OVER is websocket. A name may stand for several copies, which come and go.',
    example: 'timeseries-service=timeseries-service.tribo.internal:9443',
  },
  linkKey: {
    env: 'TRIBO_LINK_KEY',
    flag: 'link-key',
    schema: z.string().min(32).max(1024).optional(),
    allowed: 'at least 32 random characters',
    help: 'The key that all services of a site have, by which they know each other; as a file: TRIBO_LINK_KEY_FILE.',
    example: 'a-long-random-text-of-32-or-more',
  },
  linkKeyFile: {
    env: 'TRIBO_LINK_KEY_FILE',
    flag: 'link-key-file',
    schema: text.optional(),
    allowed: 'the path of a file',
    help: 'The file that holds the key of the links.',
    example: '/run/secrets/tribo-link-key',
  },
  tenant: {
    env: 'TRIBO_TENANT',
    flag: 'tenant',
    schema: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/)
      .default('demo'),
    allowed: '1 to 64 of A-Z a-z 0-9 _ -',
    help: 'The tenant that the first administrator belongs to.',
  },
  site: {
    env: 'TRIBO_SITE',
    flag: 'site',
    schema: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/)
      .default('plant-1'),
    allowed: '1 to 64 of A-Z a-z 0-9 _ -',
    help: 'The site that commands use when none is named.',
  },
  insecure: {
    env: 'TRIBO_INSECURE',
    flag: 'insecure',
    schema: flag.default(false),
    allowed: SWITCH,
    help: 'Listen off loopback without TLS. Only behind something that ends TLS.',
  },
  tlsCert: {
    env: 'TRIBO_TLS_CERT',
    flag: 'tls-cert',
    schema: text.optional(),
    allowed: 'the path of a PEM file',
    help: 'Certificate chain for HTTPS and MQTT over TLS.',
    example: 'certs/tribo.pem',
  },
  tlsKey: {
    env: 'TRIBO_TLS_KEY',
    flag: 'tls-key',
    schema: text.optional(),
    allowed: 'the path of a PEM file',
    help: 'Private key of that certificate.',
    example: 'certs/tribo.key',
  },
  tlsCaFile: {
    env: 'TRIBO_TLS_CA_FILE',
    flag: 'tls-ca-file',
    schema: text.optional(),
    allowed: 'the path of a PEM file',
    help: 'Authority that clients are to trust: commands, the demo plant, the lines that are printed for devices. Not needed for a certificate that is self-signed, or of an authority that systems know.',
    example: 'certs/authority.pem',
  },
  publicUrl: {
    env: 'TRIBO_PUBLIC_URL',
    flag: 'public-url',
    schema: origin(['http', 'https']),
    allowed: 'http:// or https:// with a host and, where it has one, a port, and no path',
    help: 'Where people and devices reach the API and the page, for links; without it, where the platform listens.',
    example: 'https://tribo.plant.example:8443',
  },
  hostNames: {
    env: 'TRIBO_HOST_NAMES',
    flag: 'host-names',
    schema: z
      .string()
      .regex(/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(,[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)*$/)
      .optional(),
    allowed: 'names of hosts, with commas between them',
    help: "Further names by which browsers, probes and proxies ask for the API, the page, health and metrics. Known without it: any address, localhost, the machine's name, the host of the public URL and the certificate's names; other names are refused.",
    example: 'tribo,tribo.monitoring.svc',
  },
  publicMqttUrl: {
    env: 'TRIBO_PUBLIC_MQTT_URL',
    flag: 'public-mqtt-url',
    schema: origin(['mqtt', 'mqtts']),
    allowed: 'mqtt:// or mqtts:// with a host and, where it has one, a port, and no path',
    help: 'Where devices reach the broker; without it, the host of the public URL and the port that the broker listens on.',
    example: 'mqtts://tribo.plant.example:8883',
  },
  logLevel: {
    env: 'TRIBO_LOG_LEVEL',
    flag: 'log-level',
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('warn'),
    allowed: 'trace, debug, info, warn, error or silent',
    help: 'How much the structured log on standard error says.',
  },
  acceptAgeDays: {
    env: 'TRIBO_ACCEPT_AGE_DAYS',
    flag: 'accept-age-days',
    schema: days.default(7),
    allowed: DAYS,
    help: 'Readings older than this come by import only. At most as long as the streams keep.',
  },
  portsFile: {
    env: 'TRIBO_PORTS_FILE',
    flag: 'ports-file',
    schema: text.optional(),
    allowed: 'the path of a YAML or JSON file',
    help: 'Which ports are had from elsewhere than this machine, by which adapters: docs/providers.md.',
    example: 'ports.yaml',
  },
  mappingFile: {
    env: 'TRIBO_MAPPING_FILE',
    flag: 'mapping-file',
    schema: text.optional(),
    allowed: 'the path of a YAML file',
    help: "How other people's MQTT topics and payloads are read.",
    example: 'mapping.yaml',
  },
  latenessMs: {
    env: 'TRIBO_LATENESS_MS',
    flag: 'lateness-ms',
    schema: z.coerce.number().int().min(0).max(86_400_000).default(10_000),
    allowed: 'milliseconds, 0 to 86400000',
    help: 'How late a reading may be and still close a window or raise a live alarm.',
  },
  windowS: {
    env: 'TRIBO_WINDOW_S',
    flag: 'window-s',
    schema: z.coerce.number().int().min(5).max(86_400).default(60),
    allowed: 'whole seconds, 5 to 86400',
    help: 'Length of the windows of readings over which mean, deviation, minimum, maximum, slope and weighted mean of each metric are taken.',
  },
  windowStepS: {
    env: 'TRIBO_WINDOW_STEP_S',
    flag: 'window-step-s',
    schema: z.coerce.number().int().min(1).max(86_400).optional(),
    allowed: 'whole seconds that divide the length, at least a sixtieth of it',
    help: 'From the beginning of one window to that of the next; without it they follow each other, and with less than their length they overlap: more windows, and more memory a metric.',
    example: '10',
  },
  windowIdleMs: {
    env: 'TRIBO_WINDOW_IDLE_MS',
    flag: 'window-idle-ms',
    schema: z.coerce.number().int().min(1000).max(86_400_000).default(120_000),
    allowed: 'milliseconds, 1000 to 86400000',
    help: 'After how long without readings of a metric its last window is closed and judged.',
  },
  staleAfterS: {
    env: 'TRIBO_STALE_AFTER_S',
    flag: 'stale-after-s',
    schema: z.coerce.number().int().min(1).max(604_800).default(300),
    allowed: 'whole seconds, 1 to 604800',
    help: 'A machine that sent nothing for longer is shown as stale, and its health as unknown.',
  },
  telemetryRequestsPerS: {
    env: 'TRIBO_TELEMETRY_REQUESTS_PER_S',
    flag: 'telemetry-requests-per-s',
    schema: z.coerce.number().int().min(1).max(1_000_000).default(2000),
    allowed: 'a whole number, 1 to 1000000',
    help: 'How often a second one caller may send data over HTTP; what is above is refused with 429.',
  },
  streamRetentionDays: {
    env: 'TRIBO_STREAM_RETENTION_DAYS',
    flag: 'stream-retention-days',
    schema: days.max(7).default(7),
    allowed: 'whole days, 1 to 7',
    help: 'How long the event streams keep what has been processed, as far as their sizes allow.',
  },
  streamMaxBytes: {
    env: 'TRIBO_STREAM_MAX_BYTES',
    flag: 'stream-max-bytes',
    schema: z.coerce
      .number()
      .int()
      .min(16 * 2 ** 20)
      .default(4 * 2 ** 30),
    allowed: 'bytes, at least 16 MiB',
    help: 'How large each event stream may grow on disk.',
  },
  maxPendingEvents: {
    env: 'TRIBO_MAX_PENDING_EVENTS',
    flag: 'max-pending-events',
    schema: z.coerce.number().int().min(100).default(1_000_000),
    allowed: 'a whole number, at least 100',
    help: 'How many events of a stream may wait for a service that is slow or away; above it, or when a stream is three quarters full of them, devices are refused until half is worked off.',
  },
  rawDays: {
    env: 'TRIBO_RAW_DAYS',
    flag: 'raw-days',
    schema: days.default(30),
    allowed: DAYS,
    help: 'How long raw readings are kept.',
  },
  rollup1mDays: {
    env: 'TRIBO_ROLLUP_1M_DAYS',
    flag: 'rollup-1m-days',
    schema: days.default(365),
    allowed: DAYS,
    help: 'How long one-minute rollups are kept.',
  },
  rollup1hDays: {
    env: 'TRIBO_ROLLUP_1H_DAYS',
    flag: 'rollup-1h-days',
    schema: days.default(3650),
    allowed: DAYS,
    help: 'How long one-hour rollups are kept.',
  },
  waveformDays: {
    env: 'TRIBO_WAVEFORM_DAYS',
    flag: 'waveform-days',
    schema: days.default(30),
    allowed: DAYS,
    help: 'How long waveforms are kept.',
  },
  rawArchive: {
    env: 'TRIBO_RAW_ARCHIVE',
    flag: 'raw-archive',
    schema: z.enum(['on', 'off']).default('off'),
    allowed: 'on or off',
    help: 'Keep every accepted message, to be read by `tribo raw`. Switched off, what is not archived yet stays out.',
  },
  rawArchiveDays: {
    env: 'TRIBO_RAW_ARCHIVE_DAYS',
    flag: 'raw-archive-days',
    schema: days.default(30),
    allowed: DAYS,
    help: 'How long the raw archive is kept.',
  },
  rawArchiveEveryS: {
    env: 'TRIBO_RAW_ARCHIVE_EVERY_S',
    flag: 'raw-archive-every-s',
    schema: z.coerce.number().int().min(1).max(3600).default(60),
    allowed: 'whole seconds, 1 to 3600',
    help: 'At the latest so long after a message it can be read from the raw archive; longer makes fewer and larger objects.',
  },
  auditDays: {
    env: 'TRIBO_AUDIT_DAYS',
    flag: 'audit-days',
    schema: days.default(400),
    allowed: DAYS,
    help: 'How long it is kept who changed devices, tokens, machines, rules, models and alarms.',
  },
  webhookUrl: {
    env: 'TRIBO_WEBHOOK_URL',
    flag: 'webhook-url',
    schema: z.url({ protocol: /^https?$/ }).optional(),
    allowed: 'an http or https address',
    help: 'Notifications are posted here as CloudEvents, signed.',
    example: 'https://example.org/tribo',
  },
  webhookSecret: {
    env: 'TRIBO_WEBHOOK_SECRET',
    flag: 'webhook-secret',
    schema: z.string().min(16).optional(),
    allowed: 'at least 16 characters',
    help: 'Key of the HMAC-SHA256 signature on each notification.',
    example: 'a-long-random-text',
  },
  webhookEvents: {
    env: 'TRIBO_WEBHOOK_EVENTS',
    flag: 'webhook-events',
    schema: z
      .string()
      .regex(/^(alarm|alarm-change|device|prediction)(,(alarm|alarm-change|device|prediction))*$/)
      .default('alarm,device'),
    allowed: 'a list of alarm,alarm-change,device,prediction',
    help: 'What is posted to the webhook: alarms when they call for attention or at each change (acknowledged, cleared and so on), devices that come and go, predictions whose verdict changes.',
  },
  presenceSettleMs: {
    env: 'TRIBO_PRESENCE_SETTLE_MS',
    flag: 'presence-settle-ms',
    schema: z.coerce.number().int().min(0).max(3_600_000).default(10_000),
    allowed: 'milliseconds, 0 to 3600000',
    help: 'How long a device must be connected, or away, before that is told by webhook and log; a device that comes and goes is told ever later, up to 64 times this.',
  },
  smtpUrl: {
    env: 'TRIBO_SMTP_URL',
    flag: 'smtp-url',
    schema: z.url({ protocol: /^smtps?$/ }).optional(),
    allowed: 'an smtp or smtps address',
    help: 'Mail server for alarm notifications.',
    example: 'smtps://user:password@mail.example.org',
  },
  mailFrom: {
    env: 'TRIBO_MAIL_FROM',
    flag: 'mail-from',
    schema: z.email().optional(),
    allowed: 'a mail address',
    help: 'Sender of alarm mails.',
    example: 'tribo@example.org',
  },
  mailTo: {
    env: 'TRIBO_MAIL_TO',
    flag: 'mail-to',
    schema: z.email().optional(),
    allowed: 'a mail address',
    help: 'Receiver of alarm mails.',
    example: 'reliability@example.org',
  },
  otlpEndpoint: {
    env: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    flag: 'otlp-endpoint',
    schema: z.url({ protocol: /^https?$/ }).optional(),
    allowed: 'an http or https address',
    help: 'OpenTelemetry collector for traces, by OTLP over HTTP.',
    example: 'http://127.0.0.1:4318',
  },
} as const satisfies Record<string, Setting>;

export type SettingKey = keyof typeof settings;

/** The parsed configuration: one typed value a setting. */
export type Configuration = { readonly [Key in SettingKey]: z.output<(typeof settings)[Key]['schema']> };
