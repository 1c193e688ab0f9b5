import { CLOUDS, CLOUD_NAMES, type Cloud } from './cloud.ts';
import { authorityProblems } from './device-authorities.ts';
import type { Environment } from './environment.ts';
import { REGIONS, regionNamed, staysWithin } from './regions.ts';

/** What is wrong with a part of an environment that has the right form. */
export interface RuleProblem {
  /** Keys and indexes that lead to it. */
  readonly at: readonly (string | number)[];
  /** What it must be, and the remedy. */
  readonly problem: string;
}

const MULTI_AZ_FROM_PERCENT = 99.9;
/** How wide a range may be, by its prefix. */
interface Prefixes {
  readonly widest: number;
  readonly narrowest: number;
}

const OF_NETWORKS: Prefixes = { widest: 16, narrowest: 20 };
/** Clusters of AWS take no other. */
const OF_SERVICES: Prefixes = { widest: 12, narrowest: 24 };
/** A node of AKS takes a /24 of them, and Terraform makes a cluster anew for others: room for 32 nodes at the least. */
const OF_PODS_AT_AZURE: Prefixes = { widest: 16, narrowest: 19 };
const HOURS_A_DAY = 24;
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const POOLS = { aws: 'Cognito', gcp: 'Identity Platform' } as const;
/** Of tokens of version 2. */
const ENTRA_ISSUER = /^https:\/\/login\.microsoftonline\.com\/[0-9a-f-]{36}\/v2\.0\/?$/;

/** What the schema of one field cannot say: regions and where data stays, zones, addresses, retentions, what fits the stage. */
export function environmentProblems(environment: Environment): readonly RuleProblem[] {
  return [
    ...regionProblems(environment),
    ...repeatedProblems(environment),
    ...authorityProblems(environment),
    ...switchProblems(environment),
    ...pipelineProblems(environment),
    ...retentionProblems(environment),
    ...networkProblems(environment),
    ...identityProblems(environment),
    ...decisionProblems(environment),
  ];
}

/** The cloud whose stacks make the pool of people that an issuer is; undefined of any other, also of Entra ID, whose directories no stack makes. */
export function cloudOfPool(issuer: string): keyof typeof POOLS | undefined {
  const { hostname } = new URL(issuer);
  if (hostname.startsWith('cognito-idp.')) return 'aws';
  return hostname === 'securetoken.google.com' ? 'gcp' : undefined;
}

/** What is allowed, and does less than whoever reads the file may think: told where stacks are made and decisions are, and never refused. */
export function environmentRemarks({ identity: { issuer }, provider, devices }: Environment): readonly RuleProblem[] {
  const remarks: RuleProblem[] = [];
  const own = cloudOfPool(issuer);
  if (own !== undefined && own !== provider)
    remarks.push({
      at: ['identity', 'issuer'],
      problem: `is a pool of ${POOLS[own]}, which the stacks of ${CLOUD_NAMES[own]} make: those of ${CLOUD_NAMES[provider]} make none, so that people come in by one-time links alone until it is an issuer that they have there`,
    });
  if (devices && provider !== 'aws')
    remarks.push({
      at: ['devices', 'authorities'],
      problem: `are of ${CLOUD_NAMES.aws} alone: at ${CLOUD_NAMES[provider]} no device registers itself, and each is added by tribo device add`,
    });
  return remarks;
}

/** A region of an environment. */
export interface UsedRegion {
  readonly cloud: Cloud;
  /** Undefined where the environment names none of that cloud. */
  readonly name: string | undefined;
  /** Whether services are there: in the first, and in each that says where they answer. */
  readonly answers: boolean;
  /** Whether database and objects are there, or a copy of them. */
  readonly hasData: boolean;
}

/** The regions of an environment, were it at `cloud`: one that says its own cloud stays there. */
export function regionsAt({ regions, switches }: Environment, cloud: Cloud): readonly UsedRegion[] {
  return regions.map((region, index) => {
    const own = region.provider ?? cloud;
    return {
      cloud: own,
      name: region[own],
      answers: index === 0 || region.controlApi !== undefined || region.aiApi !== undefined,
      hasData: index === 0 || (index === 1 && switches.secondRegion),
    };
  });
}

function regionProblems(environment: Environment): readonly RuleProblem[] {
  const { regions, residency, switches, provider } = environment;
  return regions.flatMap((region, index): readonly RuleProblem[] => {
    const own = region.provider ?? provider;
    const missing =
      region[own] === undefined
        ? [{ at: ['regions', index], problem: `has no ${own}, where it runs: name a region of ${CLOUD_NAMES[own]}` }]
        : [];
    const wrong = CLOUDS.flatMap((cloud): readonly RuleProblem[] => {
      const name = region[cloud];
      if (name === undefined) return [];
      const at = ['regions', index, cloud];
      const first = regions.findIndex((each) => each[cloud] === name);
      if (first < index) return [{ at, problem: `${name} is that of regions[${first}]: name another` }];
      const known = regionNamed(cloud, name);
      if (!known) {
        const near = REGIONS[cloud].filter(({ country }) => staysWithin(country, residency)).map((each) => each.name);
        const allowed = near.length > 0 ? near.join(', ') : `nothing: it has no region in ${residency.join(', ')}`;
        return [
          { at, problem: `must be a region of ${CLOUD_NAMES[cloud]}, got ${name}; within the residency: ${allowed}` },
        ];
      }
      if (!staysWithin(known.country, residency))
        return [{ at, problem: `is in ${known.country}, and data has to stay in ${residency.join(', ')} (residency)` }];
      if (switches.multiAz && !known.hasZones)
        return [{ at, problem: `${name} has no zones, which switches.multiAz wants: choose another region` }];
      return [];
    });
    return [...missing, ...wrong];
  });
}

/** Names that a list has twice. */
function repeatedProblems(environment: Environment): readonly RuleProblem[] {
  return (['residency', 'tenants'] as const).flatMap((key) =>
    environment[key].flatMap((name, index, names) =>
      names.indexOf(name) < index
        ? [{ at: [key, index], problem: `${name} is there already: remove one of them` }]
        : [],
    ),
  );
}

function switchProblems(environment: Environment): readonly RuleProblem[] {
  const { switches, regions, availabilityPercent, network, sizes } = environment;
  const problems: RuleProblem[] = [];
  if (switches.secondRegion && regions.length < 2)
    problems.push({ at: ['switches', 'secondRegion'], problem: 'wants a second entry in regions' });
  if (availabilityPercent >= MULTI_AZ_FROM_PERCENT && !switches.multiAz)
    problems.push({
      at: ['availabilityPercent'],
      problem: `of ${availabilityPercent} wants several zones: set switches.multiAz, or at most 99.89`,
    });
  if (switches.multiAz && sizes === 'small')
    problems.push({
      at: ['sizes'],
      problem: 'must be standard or large with switches.multiAz: the smallest databases have no standby',
    });
  const isKubernetes = switches.orchestrator === 'kubernetes';
  for (const key of ['pods', 'services'] as const) {
    if (isKubernetes && network[key] === undefined)
      problems.push({ at: ['network', key], problem: 'is missing: with Kubernetes it has addresses of its own' });
    if (!isKubernetes && network[key] !== undefined)
      problems.push({ at: ['network', key], problem: 'is of no use without switches.orchestrator: kubernetes' });
  }
  return problems;
}

function pipelineProblems({ switches, provider, pipeline }: Environment): readonly RuleProblem[] {
  if (switches.pipeline !== 'codepipeline')
    return pipeline ? [{ at: ['pipeline'], problem: 'is of no use without switches.pipeline: codepipeline' }] : [];
  const problems: RuleProblem[] = [];
  if (provider !== 'aws')
    problems.push({
      at: ['switches', 'pipeline'],
      problem: `must be github where the provider is ${provider}, got codepipeline: it is of AWS alone`,
    });
  if (!pipeline)
    problems.push({
      at: ['pipeline'],
      problem: 'is missing: CodePipeline wants repository, planner and deployer',
    });
  else if (pipeline.planner === pipeline.deployer)
    problems.push({
      at: ['pipeline', 'planner'],
      problem: `must be another role than deployer, as it is to change nothing, got ${pipeline.planner}`,
    });
  return problems;
}

function retentionProblems({ retention, stage }: Environment): readonly RuleProblem[] {
  const problems: RuleProblem[] = [];
  if (retention.rollupsDays < retention.readingsDays)
    problems.push({
      at: ['retention', 'rollupsDays'],
      problem: `must be at least readingsDays, ${retention.readingsDays}, got ${retention.rollupsDays}`,
    });
  if (retention.streamHours % HOURS_A_DAY !== 0)
    problems.push({
      at: ['retention', 'streamHours'],
      problem: `must be whole days, a multiple of 24, got ${retention.streamHours}`,
    });
  if (stage === 'prod' && retention.backupDays < 14)
    problems.push({
      at: ['retention', 'backupDays'],
      problem: `must be at least 14 in prod, got ${retention.backupDays}`,
    });
  return problems;
}

function networkProblems(environment: Environment): readonly RuleProblem[] {
  const { network, regions, provider } = environment;
  const problems: RuleProblem[] = [];
  const written: { readonly at: RuleProblem['at']; readonly text: string; readonly within?: Prefixes }[] = [];
  const widths = {
    range: OF_NETWORKS,
    pods: provider === 'azure' ? OF_PODS_AT_AZURE : undefined,
    services: OF_SERVICES,
  } as const;
  for (const key of ['range', 'pods', 'services'] as const) {
    const text = network[key];
    const within = widths[key];
    if (text !== undefined) written.push({ at: ['network', key], text, ...(within && { within }) });
  }
  for (const [index, { range }] of regions.entries()) {
    const at = ['regions', index, 'range'];
    const { answers, hasData } = regionsAt(environment, environment.provider)[index]!;
    if (index === 0 && range !== undefined) problems.push({ at, problem: 'is network.range: write it there' });
    else if (range !== undefined) written.push({ at, text: range, within: OF_NETWORKS });
    else if (index > 0 && (answers || hasData))
      problems.push({
        at,
        problem:
          'is missing: where services answer, or a copy of the data is, there is a network of its own, such as 10.41.0.0/16',
      });
  }
  const known: { readonly at: RuleProblem['at']; readonly range: AddressRange }[] = [];
  for (const { at, text, within } of written) {
    const parsed = addressRange(text);
    if (!parsed)
      problems.push({
        at,
        problem: `must be a range of private IPv4 addresses that begins at its mask, such as 10.40.0.0/16, got ${text}`,
      });
    else if (within && (parsed.prefix < within.widest || parsed.prefix > within.narrowest))
      problems.push({ at, problem: `must be a /${within.widest} to /${within.narrowest}, got /${parsed.prefix}` });
    else {
      const other = known.find(({ range }) => overlap(range, parsed));
      if (other) problems.push({ at, problem: `overlaps ${other.at.join('.')}: choose another range` });
      known.push({ at, range: parsed });
    }
  }
  return problems;
}

function identityProblems({ identity, tenants }: Environment): readonly RuleProblem[] {
  const { tenant, issuer, audience } = identity;
  const problems: RuleProblem[] =
    ENTRA_ISSUER.test(issuer) && !GUID.test(audience)
      ? [
          {
            at: ['identity', 'audience'],
            problem: `must be the client id of the application, as tokens of Entra ID name no other, got ${audience}`,
          },
        ]
      : [];
  return tenant ? [...problems, ...tenantProblems(tenant, tenants)] : problems;
}

function tenantProblems(
  tenant: NonNullable<Environment['identity']['tenant']>,
  tenants: readonly string[],
): readonly RuleProblem[] {
  const at = ['identity', 'tenant'];
  if ((tenant.claim === undefined) === (tenant.is === undefined))
    return [{ at, problem: 'must have claim or is, one of them' }];
  if (tenant.is === undefined || tenants.includes(tenant.is)) return [];
  return [{ at: [...at, 'is'], problem: `must be one of tenants, ${tenants.join(', ')}, got ${tenant.is}` }];
}

function decisionProblems({ decision }: Environment): readonly RuleProblem[] {
  if (!decision || Object.values(decision.weights).some((weight) => weight > 0)) return [];
  return [{ at: ['decision', 'weights'], problem: 'must have one above 0: nothing would count' }];
}

/** Whether two ranges, such as 10.40.0.0/16 and 10.40.16.0/20, have an address in common; both in the form of the schema. */
export function rangesOverlap(one: string, other: string): boolean {
  const [first, second] = [parsed(one), parsed(other)];
  return first !== undefined && second !== undefined && overlap(first, second);
}

function overlap(one: AddressRange, other: AddressRange): boolean {
  return one.first <= other.last && other.first <= one.last;
}

interface AddressRange {
  readonly first: number;
  readonly last: number;
  readonly prefix: number;
}

const PRIVATE: readonly AddressRange[] = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'].map((text) => parsed(text)!);

function addressRange(text: string): AddressRange | undefined {
  const range = parsed(text);
  return range && PRIVATE.some(({ first, last }) => first <= range.first && range.last <= last) ? range : undefined;
}

function parsed(text: string): AddressRange | undefined {
  const [address = '', mask = ''] = text.split('/');
  const octets = address.split('.').map(Number);
  const prefix = Number(mask);
  if (octets.some((octet) => octet > 255) || prefix > 32) return undefined;
  const first = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const size = 2 ** (32 - prefix);
  return first % size === 0 ? { first, last: first + size - 1, prefix } : undefined;
}
