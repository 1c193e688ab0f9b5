import { GATEWAY_NAME, RELAY_NAME } from '../../adapters/sql/reserved-device-ids.ts';

/** Where devices come in, and where the platform does. */
export const DEVICES_PORT = 8883;
export const PLATFORM_PORT = 8884;
/** Of the disk that sessions are on. */
export const SESSIONS_DISK = 'sessions';

const MAX_MESSAGE_BYTES = 131_072;
const CONFIG = '/mosquitto/config';
/** The user of the image. */
const USER = 1883;

/** https://mosquitto.org/man/mosquitto-conf-5.html; the same that the adapter is tested with. */
const MOSQUITTO = `# Devices: a certificate each, whose common name is the device's id.
listener ${DEVICES_PORT}
cafile ${CONFIG}/device-ca.pem
certfile ${CONFIG}/server.pem
keyfile ${CONFIG}/server.key
tls_version tlsv1.2
require_certificate true
use_identity_as_username true
use_username_as_clientid true

# The platform, by certificates of another authority.
listener ${PLATFORM_PORT}
cafile ${CONFIG}/platform-ca.pem
certfile ${CONFIG}/server.pem
keyfile ${CONFIG}/server.key
tls_version tlsv1.2
require_certificate true
use_identity_as_username true

allow_anonymous false
acl_file ${CONFIG}/acl

persistence true
persistence_location /mosquitto/data/
autosave_interval 10
max_queued_messages 0
max_queued_bytes 1073741824
max_inflight_messages 0
message_size_limit ${MAX_MESSAGE_BYTES}
log_dest stdout
`;

/** Everybody speaks below its own name alone; what is not here is refused. */
const ACL = `pattern write device/%u/status
pattern write device/%u/tribo/v1/+/+/+/telemetry
pattern write device/%u/tribo/v1/+/+/+/waveform/+
pattern write device/%u/tribo/v1/+/+/+/status
pattern read device/%u/tribo/v1/+/+/+/command

user ${GATEWAY_NAME}
topic read device/+/status
topic read device/+/tribo/v1/+/+/+/telemetry
topic read device/+/tribo/v1/+/+/+/waveform/+
topic read device/+/tribo/v1/+/+/+/status
topic write device/+/tribo/v1/+/+/+/command

user ${RELAY_NAME}
topic write device/+/tribo/v1/+/+/+/telemetry
`;

const UNIT = `[Unit]
Description=MQTT broker
Wants=network-online.target docker.service
After=network-online.target docker.service

[Service]
Environment=HOME=/run/tribo
ExecStart=/bin/bash /etc/tribo/start-broker.sh
ExecStop=/usr/bin/docker stop --time 60 mosquitto
TimeoutStopSec=90
Restart=always
RestartSec=10
`;

interface BrokerParts {
  /** Of Mosquitto, by digest. */
  readonly image: string;
  /** The host of the registry. */
  readonly registry: string;
  /** Full names of secrets, by the file that each is written to. */
  readonly secrets: ReadonlyMap<string, string>;
}

/** What a machine with Container-Optimized OS does when it starts, as cloud-init has it: JSON is YAML, too. */
export function brokerStart(parts: BrokerParts): string {
  const file = (path: string, content: string) => ({ path, permissions: '0644', owner: 'root', content });
  const config = {
    write_files: [
      file('/etc/tribo/mosquitto.conf', MOSQUITTO),
      file('/etc/tribo/acl', ACL),
      file('/etc/tribo/start-broker.sh', startScript(parts)),
      file('/etc/systemd/system/mosquitto.service', UNIT),
    ],
    runcmd: ['systemctl daemon-reload', 'systemctl start mosquitto.service'],
  };
  return `#cloud-config\n${JSON.stringify(config)}`;
}

/** Fetches certificates into memory, puts sessions on their own disk, and becomes the broker. */
function startScript({ image, registry, secrets }: BrokerParts): string {
  const fetches = [...secrets].map(([file, name]) => `fetch ${name} ${file}`);
  const ports = [DEVICES_PORT, PLATFORM_PORT].map(
    (port) => `iptables -C INPUT ${accept(port)} 2>/dev/null || iptables -A INPUT ${accept(port)}`,
  );
  return [
    'set -eu',
    `disk=/dev/disk/by-id/google-${SESSIONS_DISK}`,
    'data=/mnt/disks/sessions',
    'config=/run/tribo/config',
    'blkid "$disk" >/dev/null || mkfs.ext4 -q -m 0 "$disk"',
    'mkdir -p "$data" "$config"',
    'mountpoint -q "$data" || mount -o discard,nosuid,nodev,noexec "$disk" "$data"',
    'metadata=http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token',
    `token=$(curl -sSf --max-time 10 -H 'Metadata-Flavor: Google' "$metadata" | sed -n 's/.*"access_token":"\\([^"]*\\)".*/\\1/p')`,
    'umask 077',
    'fetch() {',
    '  curl -sSf --max-time 30 -H "Authorization: Bearer $token" "https://secretmanager.googleapis.com/v1/$1/versions/latest:access" |',
    `    tr -d '\\n' | sed -n 's/.*"data": *"\\([^"]*\\)".*/\\1/p' | base64 -d > "$config/$2"`,
    '  test -s "$config/$2"',
    '}',
    ...fetches,
    'cp /etc/tribo/mosquitto.conf /etc/tribo/acl "$config/"',
    `chown -R ${USER}:${USER} "$config" "$data"`,
    ...ports,
    `docker-credential-gcr configure-docker --registries=${registry}`,
    'if docker container inspect mosquitto >/dev/null 2>&1; then docker rm -f mosquitto; fi',
    `exec docker run --rm --name mosquitto --network host --read-only --cap-drop ALL --security-opt no-new-privileges --user ${USER}:${USER} -v "$config":${CONFIG}:ro -v "$data":/mosquitto/data ${image} mosquitto -c ${CONFIG}/mosquitto.conf`,
    '',
  ].join('\n');
}

function accept(port: number): string {
  return `-p tcp --dport ${port} -j ACCEPT`;
}
