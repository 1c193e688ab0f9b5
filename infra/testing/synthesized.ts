import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cloud } from '../../core/decision/cloud.ts';
import { environmentSchema, type Environment } from '../../core/decision/environment.ts';
import { notMadeAt } from '../../core/decision/not-made.ts';
import { loadEnvironment, loadPrices } from '../../services/shared/environments/environment-files.ts';
import { siteApp } from '../site-app.ts';
import { siteAt } from '../site.ts';
import { ALL_STACK_NAMES, STACKS as CLOUD_STACKS, type StackName } from '../synthesize.ts';

const ENVIRONMENTS = join(import.meta.dirname, '../../environments');
const PRICES = loadPrices(join(ENVIRONMENTS, 'prices'));

/** The attributes of a resource, as Terraform reads them. */
export type Attributes = Readonly<Record<string, unknown>>;

/** One of a stack's resources. */
export interface Resource {
  readonly stack: StackName;
  readonly type: string;
  /** Its place in the tree of constructs: `data/object-store/objects/bucket`. */
  readonly path: string;
  readonly is: Attributes;
}

interface StackJson {
  readonly resource: Readonly<Record<string, Readonly<Record<string, Attributes>>>>;
  readonly output?: Readonly<Record<string, { readonly value: unknown }>>;
  readonly terraform: Attributes;
  readonly provider: Readonly<Record<string, readonly Attributes[]>>;
}

/** By stack; that of the services is there where they are in a cluster, that of the pipeline where the cloud's own deploys. */
type StackJsons = Readonly<Record<Exclude<StackName, 'services' | 'pipeline'>, StackJson>> & {
  readonly services?: StackJson;
  readonly pipeline?: StackJson;
};

/** What an environment asks for and is not made at that cloud, as the file calls it. */
export function notMade(cloud: Cloud, environment: Environment): readonly string[] {
  return notMadeAt(cloud, environment).map(({ what }) => what);
}

/** What is written for a site, to be looked at. */
export class Synthesized {
  readonly resources: readonly Resource[];
  readonly json: StackJsons;

  constructor(json: StackJsons) {
    this.json = json;
    this.resources = ALL_STACK_NAMES.flatMap((stack) =>
      Object.entries(json[stack]?.resource ?? {}).flatMap(([type, byName]) =>
        Object.values(byName).map((is) => ({ stack, type, path: pathOf(is), is })),
      ),
    );
  }

  /** All of a type. @throws Error where there is none, so that no assertion is about nothing. */
  of(type: string): readonly Attributes[] {
    return this.found(type).map(({ is }) => is);
  }

  found(type: string): readonly Resource[] {
    const found = this.resources.filter((resource) => resource.type === type);
    if (found.length === 0) throw new Error(`nothing is of type ${type}`);
    return found;
  }

  /** The one of a type whose path ends so. */
  one(type: string, path: string): Attributes {
    const found = this.found(type).filter((resource) => resource.path.endsWith(path));
    if (found.length !== 1) throw new Error(`${found.length} of type ${type} end in ${path}, not one`);
    return found[0]!.is;
  }
}

/** The stacks of an environment at a cloud, whether or not it may be provisioned. */
export function synthesized(environment: Environment, cloud: Cloud = 'aws'): Synthesized {
  const outdir = mkdtempSync(join(tmpdir(), 'tribo-infra-'));
  try {
    const app = siteApp(outdir);
    const made = CLOUD_STACKS[cloud]!.build(app, siteAt(cloud, environment, PRICES)!);
    app.synth();
    const read = (stack: StackName) =>
      JSON.parse(readFileSync(join(outdir, 'stacks', stack, 'cdk.tf.json'), 'utf8')) as StackJson;
    return new Synthesized({
      ...{ foundation: read('foundation'), data: read('data'), platform: read('platform') },
      ...(made.services && { services: read('services') }),
      ...(made.pipeline && { pipeline: read('pipeline') }),
    });
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

/** A resource's type, and what its service knows it by. */
export interface NamedResource {
  readonly type: string;
  readonly name: string;
}

/**
 * What has a name at a cloud in any of several environments: once, or as often as in the one that calls most of them so.
 * @param attributeOf a type's attribute that is the name; where it has none, that is empty. Others are named where they have a `name`
 */
export function namedInAny(
  environments: readonly Environment[],
  cloud: Cloud,
  attributeOf: (type: string) => string | undefined,
): readonly NamedResource[] {
  const all = new Map<string, NamedResource>();
  for (const environment of environments) {
    const times = new Map<string, number>();
    for (const { type, is } of synthesized(environment, cloud).resources) {
      const attribute = attributeOf(type);
      const name = attribute === undefined ? is['name'] : (is[attribute] ?? '');
      if (typeof name !== 'string') continue;
      const key = `${type} ${name}`;
      times.set(key, (times.get(key) ?? 0) + 1);
      all.set(`${key} ${times.get(key)}`, { type, name });
    }
  }
  return [...all.values()];
}

/** One of the environments that ship: `akron.prod`. */
export function shipped(name: string): Environment {
  return loadEnvironment(join(ENVIRONMENTS, `${name}.yaml`)).environment;
}

/** The environment with other values, with every default again. */
export function changed(environment: Environment, values: Partial<Environment>): Environment {
  return environmentSchema.parse({ ...environment, ...values });
}

/** A statement of a policy. */
export interface ReadStatement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Principal?: unknown;
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** The statements of a policy's document. */
export function statementsOf(document: unknown): readonly ReadStatement[] {
  // References have quotation marks of their own.
  const readable = (document as string).replace(/\$\{[^}]*\}/g, (reference) => JSON.stringify(reference).slice(1, -1));
  const { Statement } = JSON.parse(readable) as {
    readonly Statement: readonly (Omit<ReadStatement, 'Action' | 'Resource'> & {
      readonly Action: string | readonly string[];
      readonly Resource?: string | readonly string[];
    })[];
  };
  return Statement.map(({ Action, Resource = [], ...rest }) => ({
    ...rest,
    Action: [Action].flat(),
    Resource: [Resource].flat(),
  }));
}

function pathOf(is: Attributes): string {
  return (is['//'] as { readonly metadata: { readonly path: string } }).metadata.path;
}
