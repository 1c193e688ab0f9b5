import type { App } from 'cdktf';
import type { IConstruct } from 'constructs';
import type { Cloud } from '../core/decision/cloud.ts';
import type { Site } from './site.ts';

/** Needed by all else, and rarely changed. */
export interface FoundationParts {
  /** Private subnets in the zones that the site has, a way out for them, and nothing that is reached from outside but the balancer. */
  readonly network: IConstruct;
  /** How services reach storage, secrets, logs and images without the internet. */
  readonly privateEndpoints: IConstruct;
  /** That all which holds data is encrypted with. */
  readonly key: IConstruct;
  /** A repository a service, whose images are named by digest. */
  readonly imageRegistry: IConstruct;
  /** By which the pipeline comes in without a stored key. */
  readonly ciIdentity: IConstruct;
  /** The zone of the site's domain. */
  readonly domain: IConstruct;
}

/** Holds what cannot be made again: survives all that stands on it, and is protected from deletion outside dev. */
export interface DataParts {
  /** The platform's streams, sized for the peak. */
  readonly eventStream: IConstruct;
  /** PostgreSQL, restorable to any second of the backups' days. */
  readonly database: IConstruct;
  /** Waveforms, the raw archive and models, in versions, with what becomes of each kind. */
  readonly objectStore: IConstruct;
  /** What is kept for ever of who did what. */
  readonly auditStore: IConstruct;
  /** Copies of the database apart from it. */
  readonly backups: IConstruct;
  /** Tables over what is archived and exported, by `switches.warehouse`; undefined without it. */
  readonly warehouse: IConstruct | undefined;
  /** What stands ready in the environment's second region, by `switches.secondRegion`; undefined without it. */
  readonly secondRegion: IConstruct | undefined;
}

/** Can be destroyed and made again; what goes with it, as people of a pool, is in infra/README.md, and what holds such refuses to be deleted outside dev. */
export interface PlatformParts {
  /** Devices come in with a credential of their own, each for its own topics alone. */
  readonly deviceGateway: IConstruct;
  readonly deviceRegistry: IConstruct;
  /** Who lets people in; a pool of the site's own is the one place that has them. */
  readonly identityVerifiers: IConstruct;
  /** Where alarms of machines go. */
  readonly notifiers: IConstruct;
  /** Each with an identity of its own that may do what its adapters do, and nothing else; or the cluster that they are to run in. */
  readonly services: IConstruct;
  /** Layer 7 and a firewall, before the API alone. */
  readonly ingress: IConstruct;
  /** What an operator is called for: R154. */
  readonly alarms: IConstruct;
  readonly dashboard: IConstruct;
  readonly budget: IConstruct;
  /** The serverless path: functions that are run for what comes, and cost nothing between. */
  readonly functions: IConstruct;
  /** Alerts on the error budgets of the service level objectives. */
  readonly serviceLevels: IConstruct;
  /** A registry of models, an endpoint that answers with them, and compute for training that scales to zero. */
  readonly modelServing: IConstruct;
}

/** What runs in a cluster of the platform, where `switches.orchestrator` is Kubernetes: can be destroyed and made again without loss. */
export interface ServicesParts {
  readonly services: IConstruct;
  /** From the platform's balancer, or what makes it, to the API. */
  readonly ingress: IConstruct;
}

/** What deploys the site from within its cloud, by `switches.pipeline`: applied by people, and never by itself. */
export interface PipelineParts {
  /** What steps leave for each other. */
  readonly artifacts: IConstruct;
  readonly pipeline: IConstruct;
  /** Who is told of runs that fail, and of those that wait for approval. */
  readonly calls: IConstruct;
}

/** The sections of the site's ports file (docs/providers.md) that come from a stack: a cloud says by its own adapters' types what is in each. */
export interface PortsSections {
  readonly provider: Cloud;
  /** What all PostgreSQL adapters share. */
  readonly postgres: object;
  readonly eventStream: object;
  readonly objectStore: object;
  readonly secretStore: object;
  readonly deviceGateway: object;
  readonly deviceRegistry: object;
  readonly notifiers: readonly object[];
  readonly identityVerifiers: readonly object[];
}

/** A site at a cloud, by what may be destroyed. */
export interface SiteStacks {
  readonly foundation: FoundationParts;
  readonly data: DataParts;
  readonly platform: PlatformParts;
  /** Undefined where the cloud's container service runs them. */
  readonly services?: ServicesParts;
  /** Undefined where the workflows at GitHub deploy it. */
  readonly pipeline?: PipelineParts;
  /** As the services read it; values that are known after the deployment are tokens. */
  readonly ports: PortsSections;
}

/** What a cloud has to bring: one that lacks a part does not compile. */
export interface CloudStacks {
  readonly cloud: Cloud;
  /** Adds the stacks `foundation`, `data` and `platform` to the app, `services` for a cluster, and `pipeline` where the cloud's own deploys. */
  build(app: App, site: Site): SiteStacks;
}
