import { unbracketed } from '#services/shared/config/addresses.ts';
import type { AddedDevice } from '#services/api-gateway/schemas/devices.ts';
import { instant } from './output.ts';

/** Where the platform is reached. */
export interface Reached {
  readonly apiUrl: string;
  readonly broker: URL;
  readonly caFile: string | undefined;
}

type Connection = NonNullable<AddedDevice['connection']>;

const MESSAGE = '{"ts":\'$(date +%s%3N)\',"metrics":{"velocity_rms":2.31,"temperature":61.2}}';

/** What a person is told of a device that was just given its secret, with lines to paste into a shell. */
export function deviceUsage(added: AddedDevice, at: Reached): string {
  const { device, secret, connection } = added;
  const machines = device.machines.map((each) => `${each.site}/${each.machine}`).join(', ');
  return [
    `Device ${device.id} may speak for ${machines}.`,
    ...(connection?.certificate === 'the secret'
      ? [`Its certificate and key are shown this once; keep both in ${device.id}.pem:`, secret.trimEnd()]
      : [`Its secret is shown this once: ${secret}`]),
    '',
    'By MQTT:',
    ...(connection ? elsewhere(device.id, connection) : [atThePlatform(added, at)]),
    '',
    ...(connection?.isKnownToHttp === false ? [] : ['By HTTP:', overHttp(added, at), '']),
    `Then look at ${new URL('/', at.apiUrl).href}`,
  ].join('\n');
}

function atThePlatform({ device, secret, topics }: AddedDevice, { broker, caFile }: Reached): string {
  const trusting = broker.protocol === 'mqtts:' ? ` ${trusted(caFile)}` : '';
  const who = `-i ${device.id} -u ${device.id} -P ${secret}`;
  return `  mosquitto_pub -h ${unbracketed(broker.hostname)} -p ${broker.port}${trusting} ${who} -q 1 -t ${topics[0] ?? ''} -m '${MESSAGE}'`;
}

function elsewhere(id: string, connection: Connection): readonly string[] {
  const { url, mqttVersion, clientId, caFile, username, password, passwordExpiresMs, commandTopics } = connection;
  const { hostname, port } = new URL(url);
  const options = [
    `-h ${unbracketed(hostname)} -p ${port} ${connection.certificate === undefined ? trusted(caFile) : trustedBesideCertificate(caFile)}`,
    ...certificateOptions(id, connection),
    `-V ${mqttVersion === '5' ? 'mqttv5' : 'mqttv311'} -i ${clientId}`,
    ...(username === undefined ? [] : [`-u ${quoted(username)}`]),
    ...(password === undefined ? [] : [`-P ${quoted(password)}`]),
    `-q 1 -t ${quoted(connection.telemetryTopics[0] ?? '')} -m '${MESSAGE}'`,
  ];
  return [
    `  mosquitto_pub ${options.join(' ')}`,
    ...(connection.certificate === 'issued by the site'
      ? [`  ${id}.pem and ${id}.key are its certificate, with the name ${id}, and key: your own authority issues them.`]
      : []),
    ...(passwordExpiresMs === undefined
      ? []
      : [
          `  The password is a token that is good until ${instant(passwordExpiresMs)}; the device makes its own from the secret.`,
        ]),
    `  It hears commands at ${commandTopics.join(', ')}`,
  ];
}

function certificateOptions(id: string, { certificate }: Connection): readonly string[] {
  if (certificate === undefined) return [];
  return [`--cert ${id}.pem --key ${id}.${certificate === 'the secret' ? 'pem' : 'key'}`];
}

function overHttp({ device, secret }: AddedDevice, { apiUrl, caFile }: Reached): string {
  const { site = '', machine = '' } = device.machines[0] ?? {};
  const body = `{"site":"${site}","machine":"${machine}","messages":[${MESSAGE}]}`;
  const trusting = apiUrl.startsWith('https:') && caFile !== undefined ? ` --cacert ${quoted(caFile)}` : '';
  return `  curl -sS${trusting} ${new URL('/v1/telemetry', apiUrl).href} -u ${device.id}:${secret} -H 'content-type: application/json' -d '${body}'`;
}

function trusted(caFile: string | undefined): string {
  return caFile === undefined ? '--tls-use-os-certs' : `--cafile ${quoted(caFile)}`;
}

/** Mosquitto's clients show a certificate only where they are told a file or folder of authorities. */
function trustedBesideCertificate(caFile: string | undefined): string {
  return caFile === undefined ? `--capath ${SYSTEM_AUTHORITIES}` : trusted(caFile);
}

const SYSTEM_AUTHORITIES = '/etc/ssl/certs';

/** As one word of a shell. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
