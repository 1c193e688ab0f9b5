import { PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT, DATA_FOLDER, OPERATION_PORT, serviceSettings, startCommand } from '../service-settings.ts';
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
  /** Of the ports file: tasks start anew when it changes. */
  readonly portsDigest: string;
}

/** So long a service has to finish what it has in hand. */
const STOP_S = 60;

/** The container of a service, as ECS has it: not root, with one folder that it may write to, and a health check. */
export function containerOf(site: Site, service: string, { image, logGroup, secrets, portsDigest }: ContainerParts) {
  const isPublic = service === PUBLIC_SERVICE;
  const settings = { ...serviceSettings(site, service), PORTS_DIGEST: portsDigest };
  const health = `http://127.0.0.1:${isPublic ? API_PORT : OPERATION_PORT}/health/live`;
  return {
    name: service,
    image,
    essential: true,
    command: startCommand(service),
    environment: Object.entries(settings).map(([name, value]) => ({ name, value })),
    secrets,
    ...(isPublic && { portMappings: [{ containerPort: API_PORT, hostPort: API_PORT, protocol: 'tcp' }] }),
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
