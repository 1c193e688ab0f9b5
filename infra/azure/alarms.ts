import { Construct } from 'constructs';
import { AksCluster } from './aks-cluster.ts';
import type { AzureStack } from './azure-stack.ts';
import { ClusterAlarms } from './cluster-alarms.ts';
import type { ContainerApps } from './container-apps.ts';
import type { DataStack } from './data-stack.ts';
import { databaseConnections } from './database-class.ts';
import { DEVICES_HUB } from './device-hub.ts';
import type { Ingress } from './ingress.ts';
import type { Logs } from './logs.ts';
import { metricAlert, type Watched } from './metric-alert.ts';
import type { SecondRegion } from './second-region.ts';
import type { SynapseWarehouse } from './synapse-warehouse.ts';
import { SENSOR_DATA_QUEUE, type SensorDataQueue } from './sensor-data-queue.ts';

const GIB = 1024 ** 3;
const NANOCORES = 1e9;
const BYTES_A_TB = 1e12;
/** Somebody is called for queries that read so large a part of what is priced for a month: a tenth. */
const WATCHED_PARTS_A_MONTH = 10;
/** Somebody is called long before a quarter of an hour, which is what may be lost (R176). */
const LATE_S = 300;
const DATABASE_METRICS = 'Microsoft.DBforPostgreSQL/flexibleServers';
const STREAM_METRICS = 'Microsoft.EventHub/namespaces';

interface Parts {
  readonly data: DataStack;
  readonly services: ContainerApps | AksCluster;
  readonly ingress: Ingress;
  readonly queue: SensorDataQueue;
  readonly logs: Logs;
  /** Whom they call. */
  readonly actionGroupId: string;
}

/** What operators are called for (R154): services, database, streams, the hub, the API, objects, readings that come by the queue, and what queries read. */
export class Alarms extends Construct {
  readonly #stack: AzureStack;
  readonly #actionGroupId: string;

  constructor(scope: AzureStack, id: string, { data, services, ingress, queue, logs, actionGroupId }: Parts) {
    super(scope, id);
    this.#stack = scope;
    this.#actionGroupId = actionGroupId;
    if (services instanceof AksCluster)
      new ClusterAlarms(scope, 'cluster-alarms', { cluster: services, logs, actionGroupId });
    else for (const size of scope.site.demand.services) this.#service(size, services.apps.get(size.service)!.id);
    this.#database(data);
    this.#streams(data);
    this.#hub(data);
    this.#api(ingress);
    this.#objects(data);
    this.#queue(queue);
    if (data.warehouse) this.#warehouse(data.warehouse);
    if (data.secondRegion) this.#secondRegion(data.secondRegion);
  }

  #service({ service, vcpu, memoryGb }: { service: string; vcpu: number; memoryGb: number }, on: string): void {
    const of = { on, namespace: 'Microsoft.App/containerApps', window: 'PT15M' } as const;
    this.#call(`${service}-cpu`, {
      ...of,
      all: [{ metric: 'UsageNanoCores', aggregation: 'Average', is: 'above', threshold: vcpu * NANOCORES * 0.85 }],
      means: `${service} is at the end of its CPU with all copies that it may have`,
    });
    this.#call(`${service}-memory`, {
      ...of,
      all: [{ metric: 'WorkingSetBytes', aggregation: 'Average', is: 'above', threshold: memoryGb * GIB * 0.85 }],
      means: `${service} is about to be ended for want of memory`,
    });
    this.#call(`${service}-restarts`, {
      ...of,
      all: [{ metric: 'RestartCount', aggregation: 'Maximum', is: 'above', threshold: 3 }],
      means: `${service} ends again and again`,
      severity: 1,
    });
    this.#call(`${service}-away`, {
      ...of,
      window: 'PT5M',
      all: [{ metric: 'Replicas', aggregation: 'Maximum', is: 'below', threshold: 1 }],
      means: `${service} does not run`,
      severity: 0,
    });
  }

  #database({ database: { server } }: DataStack): void {
    const of = { on: server.id, namespace: DATABASE_METRICS, window: 'PT15M' } as const;
    this.#call('database-cpu', {
      ...of,
      all: [{ metric: 'cpu_percent', aggregation: 'Average', is: 'above', threshold: 80 }],
      means: 'The database is at the end of its CPU',
    });
    this.#call('database-storage', {
      ...of,
      all: [{ metric: 'storage_percent', aggregation: 'Maximum', is: 'above', threshold: 85 }],
      means: 'The database has less than 15 % of its disk left; it grows by itself, if it can',
      severity: 1,
    });
    this.#call('database-connections', {
      ...of,
      all: [
        {
          metric: 'active_connections',
          aggregation: 'Maximum',
          is: 'above',
          threshold: databaseConnections(this.#stack.site).ofServices,
        },
      ],
      means: 'More connections to the database than all copies of the services may have, also during a release',
    });
    this.#call('database-away', {
      ...of,
      window: 'PT5M',
      all: [{ metric: 'is_db_alive', aggregation: 'Maximum', is: 'below', threshold: 1 }],
      means: 'The database does not answer',
      severity: 0,
    });
  }

  #streams({ eventStream, deviceHub }: DataStack): void {
    this.#namespace('streams', eventStream.namespace.id);
    if (deviceHub.namespace !== eventStream.namespace) this.#namespace('device-events', deviceHub.namespace.id);
    // Azure does not know how far a group has read; that nobody reads at all it does.
    this.#unread('metrics', eventStream.hubs['metrics']!.nameInput!, eventStream.namespace.id);
    this.#unread(DEVICES_HUB, deviceHub.hub.nameInput!, deviceHub.namespace.id);
  }

  #namespace(part: string, on: string): void {
    const of = { on, namespace: STREAM_METRICS } as const;
    this.#call(`${part}-throttled`, {
      ...of,
      window: 'PT5M',
      all: [{ metric: 'ThrottledRequests', aggregation: 'Total', is: 'above', threshold: 100 }],
      means: 'The namespace has too few throughput units for what comes',
    });
    this.#call(`${part}-fail`, {
      ...of,
      window: 'PT5M',
      all: [{ metric: 'ServerErrors', aggregation: 'Total', is: 'above', threshold: 10 }],
      means: 'Event Hubs fails: nothing is taken in meanwhile',
      severity: 1,
    });
  }

  #unread(part: string, hub: string, on: string): void {
    const dimensions = { EntityName: [hub] };
    this.#call(`${part}-unread`, {
      ...{ on, namespace: STREAM_METRICS },
      window: 'PT15M',
      all: [
        { metric: 'IncomingMessages', aggregation: 'Total', is: 'above', threshold: 0, dimensions },
        { metric: 'OutgoingMessages', aggregation: 'Total', is: 'below', threshold: 1, dimensions },
      ],
      means: `${part} is written and not read: what is not read in time is lost`,
      severity: 1,
    });
  }

  #hub({ iotHub: { hub } }: DataStack): void {
    const of = { on: hub.id, namespace: 'Microsoft.Devices/IotHubs', window: 'PT5M' } as const;
    const lost: readonly (readonly [part: string, metric: string, means: string])[] = [
      ['dropped', 'd2c.telemetry.egress.dropped', 'The hub gave up what a device was told is taken'],
      ['orphaned', 'd2c.telemetry.egress.orphaned', 'What a device sent matched no route, and is gone'],
      ['invalid', 'd2c.telemetry.egress.invalid', 'The hub could not hand on what a device sent'],
    ];
    for (const [part, metric, means] of lost)
      this.#call(`hub-${part}`, {
        ...of,
        all: [{ metric, aggregation: 'Total', is: 'above', threshold: 0 }],
        means,
        severity: 1,
      });
    this.#call('hub-throttled', {
      ...of,
      all: [{ metric: 'd2c.telemetry.ingress.sendThrottle', aggregation: 'Total', is: 'above', threshold: 100 }],
      means: 'The hub has too few units for what devices send',
    });
  }

  #api({ profile }: Ingress): void {
    const of = { on: profile.id, namespace: 'Microsoft.Cdn/profiles', window: 'PT5M' } as const;
    this.#call('api-5xx', {
      ...of,
      all: [{ metric: 'Percentage5XX', aggregation: 'Average', is: 'above', threshold: 5 }],
      means: 'The API fails, or Front Door does not reach it',
      severity: 1,
    });
    this.#call('api-4xx', {
      ...of,
      all: [
        { metric: 'Percentage4XX', aggregation: 'Average', is: 'above', threshold: 50 },
        { metric: 'RequestCount', aggregation: 'Total', is: 'above', threshold: 1000 },
      ],
      means: 'Many calls are refused: a client that is wrong, or somebody who tries',
    });
    this.#call('api-away', {
      ...of,
      all: [{ metric: 'OriginHealthPercentage', aggregation: 'Average', is: 'below', threshold: 50 }],
      means: 'No copy of the API is healthy',
      severity: 0,
    });
  }

  #objects({ objectStore, checkpoints }: DataStack): void {
    const accounts = { objects: objectStore.accountId, checkpoints: checkpoints.accountId };
    const refused = ['AuthorizationError', 'ServerBusyError', 'ServerOtherError', 'ServerTimeoutError'];
    for (const [part, on] of Object.entries(accounts))
      this.#call(`${part}-refused`, {
        on,
        namespace: 'Microsoft.Storage/storageAccounts',
        window: 'PT5M',
        all: [
          {
            metric: 'Transactions',
            aggregation: 'Total',
            is: 'above',
            threshold: 10,
            dimensions: { ResponseType: refused },
          },
        ],
        means: `The account of ${part} refuses or fails calls`,
        severity: 1,
      });
  }

  /** Azure itself stops queries at a whole terabyte, and no sooner. */
  #warehouse({ workspace }: SynapseWarehouse): void {
    const pricedBytes = this.#stack.site.demand.queryTb * BYTES_A_TB;
    this.#call('history-read', {
      ...{ on: workspace.id, namespace: 'Microsoft.Synapse/workspaces', window: 'PT6H' },
      all: [
        {
          metric: 'BuiltinSqlPoolDataProcessedBytes',
          aggregation: 'Total',
          is: 'above',
          threshold: pricedBytes / WATCHED_PARTS_A_MONTH,
        },
      ],
      means: 'Queries of the history read within hours a tenth of what is priced for a month',
    });
  }

  /** What would be lost with the first region. */
  #secondRegion({ replica }: SecondRegion): void {
    const of = { on: replica.id, namespace: DATABASE_METRICS, window: 'PT5M' } as const;
    this.#call('database-second-late', {
      ...of,
      all: [
        { metric: 'physical_replication_delay_in_seconds', aggregation: 'Maximum', is: 'above', threshold: LATE_S },
      ],
      means: 'The copy of the database in the second region is minutes behind: so much is lost with the first',
      severity: 1,
    });
    this.#call('database-second-away', {
      ...of,
      all: [{ metric: 'is_db_alive', aggregation: 'Maximum', is: 'below', threshold: 1 }],
      means: 'The copy of the database in the second region does not answer, and the first keeps for it what it writes',
      severity: 1,
    });
  }

  #queue({ namespace }: SensorDataQueue): void {
    const of = { on: namespace.id, namespace: 'Microsoft.ServiceBus/namespaces' } as const;
    const dimensions = { EntityName: [SENSOR_DATA_QUEUE] };
    this.#call('sensor-data-failed', {
      ...of,
      window: 'PT5M',
      all: [{ metric: 'DeadletteredMessages', aggregation: 'Maximum', is: 'above', threshold: 0, dimensions }],
      means: 'Readings of the queue could not be handed on: they are among its dead letters',
      severity: 1,
    });
    this.#call('sensor-data-waits', {
      ...of,
      window: 'PT15M',
      all: [{ metric: 'ActiveMessages', aggregation: 'Minimum', is: 'above', threshold: 100, dimensions }],
      means: 'Readings of the queue wait: the function does not run, or is too slow',
    });
  }

  #call(part: string, watched: Watched): void {
    metricAlert(this, this.#stack, { ...watched, part, actionGroupId: this.#actionGroupId });
  }
}
