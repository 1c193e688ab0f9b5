import type {
  DeploymentV1SpecTemplateSpec,
  DeploymentV1SpecTemplateSpecContainerLivenessProbe,
} from '@cdktf/provider-kubernetes/lib/deployment-v1/index.js';
import type { ServiceSize } from '../../core/decision/demand.ts';
import { STOP_S } from '../copies.ts';
import { isLinkedTo, PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT, DATA_FOLDER, LINK_PORT, OPERATION_PORT, serviceSettings } from '../service-settings.ts';
import type { Cluster } from './cluster.ts';
import { LINK_KEY_FILE, SECRETS_FOLDER, secretsVolume, withPassword } from './start-secrets.ts';

const USER = '1000';
const MIB_A_GIB = 1024;
/** In memory, of which it takes only what is written: the ports file and an authority. */
const DATA_SIZE = '64Mi';
/** Logs alone: what is written goes to memory. */
const DISK = '1Gi';
/** How long balancers and callers go on calling a copy that is about to stop. */
const CALLED_FOR_S = 15;
const START_S = 120;
const EVERY_S = 10;
const RARELY_S = 30;

/** Tells the pods of a service from those of the others. */
export function podLabels(service: string): Readonly<Record<string, string>> {
  return { app: service };
}

/** The pod of a service: not root, nothing to write to but one folder in memory, no right but those that its cloud gives its identity. */
export function podOf(cluster: Cluster, size: ServiceSize): DeploymentV1SpecTemplateSpec {
  const { service } = size;
  return {
    serviceAccountName: service,
    // Who it is at the cloud it is told otherwise, and Kubernetes itself it never calls.
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: STOP_S + CALLED_FOR_S,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    toleration: cluster.tolerations.map((each) => ({ ...each, operator: 'Equal', effect: 'NoSchedule' })),
    topologySpreadConstraint: [
      {
        maxSkew: 1,
        topologyKey: 'topology.kubernetes.io/zone',
        // With a zone away the others take its copies.
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: [{ matchLabels: podLabels(service) }],
      },
    ],
    container: [containerOf(cluster, size)],
    volume: [
      { name: 'data', emptyDir: { medium: 'Memory', sizeLimit: DATA_SIZE } },
      { name: 'secrets', csi: secretsVolume(cluster, service) },
    ],
  };
}

function containerOf(cluster: Cluster, { service, vcpu, memoryGb }: ServiceSize) {
  const [shell = '', ...args] = withPassword(cluster.command(service));
  const resources = {
    cpu: `${Math.round(vcpu * 1000)}m`,
    memory: `${Math.round(memoryGb * MIB_A_GIB)}Mi`,
    'ephemeral-storage': DISK,
  };
  const settings = {
    ...serviceSettings(cluster.site, service, (called) => nameOf(cluster, called)),
    TRIBO_PORTS: cluster.ports,
    TRIBO_LINK_KEY_FILE: `${SECRETS_FOLDER}/${LINK_KEY_FILE}`,
    ...cluster.variables,
  };
  return {
    name: service,
    image: cluster.image(service),
    // A digest is always the same image.
    imagePullPolicy: 'IfNotPresent',
    command: [shell],
    args,
    env: Object.entries(settings).map(([name, value]) => ({ name, value })),
    port: portsOf(service).map(({ name, port }) => ({ name, containerPort: port, protocol: 'TCP' })),
    resources: { requests: resources, limits: resources },
    securityContext: {
      runAsNonRoot: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    startupProbe: { ...probeOf(service), periodSeconds: EVERY_S, failureThreshold: START_S / EVERY_S },
    livenessProbe: { ...probeOf(service), failureThreshold: 3 },
    // A copy that is alive is called: it says itself what it cannot answer yet, and those that wait for each other to be ready would wait for ever.
    readinessProbe: { ...probeOf(service), failureThreshold: 2 },
    lifecycle: { preStop: [{ exec: { command: ['sleep', String(CALLED_FOR_S)] } }] },
    volumeMount: [
      { name: 'data', mountPath: DATA_FOLDER },
      { name: 'secrets', mountPath: SECRETS_FOLDER, readOnly: true },
    ],
  };
}

/** Health of the API is asked over the network; that of the others is on loopback, and asked by a program of the container, which takes CPU. */
function probeOf(service: string): DeploymentV1SpecTemplateSpecContainerLivenessProbe {
  if (service === PUBLIC_SERVICE)
    return { periodSeconds: EVERY_S, timeoutSeconds: 5, httpGet: { path: '/health/live', port: String(API_PORT) } };
  const command = ['node', 'services/shared/process/check-health.ts', String(OPERATION_PORT)];
  return { periodSeconds: RARELY_S, timeoutSeconds: 5, exec: { command } };
}

/** Where a service is called. */
export function portsOf(service: string): readonly { readonly name: string; readonly port: number }[] {
  return [
    ...(service === PUBLIC_SERVICE ? [{ name: 'api', port: API_PORT }] : []),
    ...(isLinkedTo(service) ? [{ name: 'links', port: LINK_PORT }] : []),
  ];
}

/** Of a service within the cluster: with the address of each of its copies. */
function nameOf({ namespace }: Cluster, service: string): string {
  return `${service}.${namespace}.svc.cluster.local`;
}
