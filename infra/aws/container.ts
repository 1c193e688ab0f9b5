import { STOP_S } from '../copies.ts';
import { isLinkedTo, PUBLIC_SERVICE } from '../service-ports.ts';
import {
  API_PORT,
  DATA_FOLDER,
  LINK_PORT,
  OPERATION_PORT,
  serviceSettings,
  startCommand,
} from '../service-settings.ts';
import type { Site } from '../site.ts';

/** A value that ECS fetches when a task starts. */
export interface ContainerSecret {
  readonly name: string;
  readonly valueFrom: string;
}

interface ContainerParts {
  readonly image: string;
  readonly logGroup: string;
  readonly secrets: readonly ContainerSecret[];
  /** Of another service, within the network. */
  readonly nameOf: (service: string) => string;
  /** Of the ports file: tasks start anew when it changes. */
  readonly portsDigest: string;
}

/** The container of a service, as ECS has it: not root, with one folder that it may write to, and a health check. */
export function containerOf(site: Site, service: string, parts: ContainerParts) {
  const { image, logGroup, secrets, nameOf, portsDigest } = parts;
  const isPublic = service === PUBLIC_SERVICE;
  const settings = { ...serviceSettings(site, service, nameOf), PORTS_DIGEST: portsDigest };
  const open = [...(isPublic ? [API_PORT] : []), ...(isLinkedTo(service) ? [LINK_PORT] : [])];
  const health = `http://127.0.0.1:${isPublic ? API_PORT : OPERATION_PORT}/health/live`;
  return {
    name: service,
    image,
    essential: true,
    command: startCommand(service),
    environment: Object.entries(settings).map(([name, value]) => ({ name, value })),
    secrets,
    portMappings: open.map((port) => ({ containerPort: port, hostPort: port, protocol: 'tcp' })),
    user: '1000:1000',
    readonlyRootFilesystem: true,
    linuxParameters: { initProcessEnabled: true, capabilities: { drop: ['ALL'] } },
    mountPoints: [{ sourceVolume: 'data', containerPath: DATA_FOLDER, readOnly: false }],
    healthCheck: {
      command: [
        'CMD',
        'node',
        '-e',
        `fetch('${health}').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))`,
      ],
      interval: 30,
      timeout: 5,
      retries: 3,
      startPeriod: 60,
    },
    stopTimeout: STOP_S,
    logConfiguration: {
      logDriver: 'awslogs',
      options: { 'awslogs-group': logGroup, 'awslogs-region': site.region, 'awslogs-stream-prefix': service },
    },
  };
}
