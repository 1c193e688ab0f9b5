import type { ServiceSize } from '../../core/decision/demand.ts';
import { SERVICE_PORTS } from '../service-ports.ts';
import { DATA_FOLDER, LINK_KEY, serviceSettings, startCommand } from '../service-settings.ts';
import type { Site } from '../site.ts';
import type { DataStack } from './data-stack.ts';
import { GATEWAY_FILES } from './mqtt-device-gateway.ts';
import { AUTHORITY_FILE } from './postgres-database.ts';
import type { PrivateSecret } from './private-secret.ts';

/** Copies at Cloud Run are all called `localhost`. */
const COPY_NAME_COMMAND = 'node -p "crypto.randomUUID()"';
const DATA_VOLUME = 'data';
/** In memory, of which it takes only what is written: the ports file and an authority. */
const DATA_SIZE = '64Mi';
const MIB_A_GIB = 1024;

interface ContainerParts {
  readonly image: string;
  /** The ports file, as JSON. */
  readonly ports: string;
  /** Of another service the host at which Cloud Run answers for it. */
  readonly hostOf: (service: string) => string;
  readonly data: DataStack;
}

/** Starts a service that finds the authority of the database in a file, from `DATABASE_AUTHORITY`. */
export function startWithAuthority(service: string, copyName?: string): readonly string[] {
  const [shell = '', flag = '', script = ''] = startCommand(service, copyName);
  return [
    shell,
    flag,
    `printf '%s' "$DATABASE_AUTHORITY" > ${AUTHORITY_FILE} && unset DATABASE_AUTHORITY && ${script}`,
  ];
}

/** The container of a service, as Cloud Run has it. */
export function containerOf(site: Site, size: ServiceSize, { image, ports, hostOf, data }: ContainerParts) {
  const { service, vcpu, memoryGb } = size;
  const [shell = '', ...args] = startWithAuthority(service, COPY_NAME_COMMAND);
  return {
    name: service,
    image,
    command: [shell],
    args,
    env: [
      ...Object.entries(serviceSettings(site, service, hostOf, 'websocket')).map(([name, value]) => ({ name, value })),
      { name: 'TRIBO_PORTS', value: ports },
      { name: 'DATABASE_AUTHORITY', value: data.database.authority },
      fromSecret('PGPASSWORD', data.database.password),
      fromSecret(LINK_KEY, data.linkKey),
    ],
    resources: {
      limits: { cpu: String(vcpu), memory: `${Math.round(memoryGb * MIB_A_GIB)}Mi` },
      cpuIdle: false,
      startupCpuBoost: true,
    },
    volumeMounts: [
      { name: DATA_VOLUME, mountPath: DATA_FOLDER },
      ...gatewayVolumes(service, data).map((each) => each.mount),
    ],
  };
}

function fromSecret(name: string, { secretId }: PrivateSecret) {
  return { name, valueSource: { secretKeyRef: { secret: secretId, version: 'latest' } } };
}

/** What a container mounts: a folder to write to, and for whoever speaks to brokers its certificate. */
export function volumesOf(service: string, data: DataStack) {
  return [
    { name: DATA_VOLUME, emptyDir: { medium: 'MEMORY', sizeLimit: DATA_SIZE } },
    ...gatewayVolumes(service, data).map(({ volume }) => volume),
  ];
}

function gatewayVolumes(service: string, { brokerCertificates }: DataStack) {
  if (!SERVICE_PORTS[service]!.includes('deviceGateway')) return [];
  return Object.entries(GATEWAY_FILES).map(([file, mountPath]) => {
    const name = `mqtt-${file.replace('.', '-')}`;
    const { secretId } = brokerCertificates.gateway.get(file)!;
    return {
      mount: { name, mountPath },
      volume: { name, secret: { secret: secretId, items: [{ path: file, version: 'latest' }] } },
    };
  });
}
