import { z } from 'zod';
import { CLOUDS } from '#core/decision/cloud.ts';
import { CRITERION_MEANING } from '#core/decision/decide.ts';
import { NOT_PRICED } from '#core/decision/decision-text.ts';
import { environmentSchema } from '#core/decision/environment.ts';
import { priceListSchema, TRUST_MEANING } from '#core/decision/prices.ts';
import { allowedBy, type Field } from './json-schema.ts';

/** For editors, by path: what completes and checks environments and prices while they are written. */
export function generatedSchemas(): Readonly<Record<string, unknown>> {
  return {
    'environments/schemas/environment.json': schemaOf(environmentSchema),
    ...Object.fromEntries(
      CLOUDS.map((cloud) => [`environments/schemas/prices-${cloud}.json`, schemaOf(priceListSchema(cloud))]),
    ),
  };
}

/** A whole file for a small plant, that any cloud would do for. */
const EXAMPLE = `# yaml-language-server: $schema=schemas/environment.json
site: leeds
stage: prod
provider: aws # what tribo decide --write finds, it writes here
domain: tribo.leeds.example
regions:
  - { aws: eu-west-2, azure: uksouth, gcp: europe-west2 }
residency: [GB]
tenants: [mill]
workload:
  machines: 40
  messageIntervalS: 5
  readingsPerMessage: 8
  bytesPerMessage: 600
  metricsPerMachine: 8
availabilityPercent: 99.9
sizes: standard
switches: { multiAz: true }
retention: { readingsDays: 90, rollupsDays: 730, waveformsDays: 365, backupDays: 30 }
network: { range: 10.90.0.0/16 }
identity: { issuer: "https://id.leeds.example", audience: tribo }
budget: { usdPerMonth: 1500, tell: [it@leeds.example] }
tags: { project: tribo, costCenter: mill, owner: it@leeds.example }
decision: # in one file of the site alone: its most demanding stage
  by: IT, Leeds
  reason: Managed as far as possible, by people who know each cloud a little.
  identity: other
  experience: { aws: 3, azure: 3, gcp: 3 }
  weights: { cost: 4, operation: 3, identity: 0, experience: 3 }
`;

/** docs/environments.md: every key with what it takes. */
export function environmentsPage(): string {
  return [
    '# Environments',
    '',
    '<!-- Written by `npm run docs:environments` from the schema: change that. -->',
    '',
    'One file a site and stage, `environments/<site>.<stage>.yaml`, says where it runs, what its machines send, how large it is and what it may cost. It has no logic and no secrets. What is wrong in it is answered by file and line, all at once. The first line of the examples has editors complete and check it (`schemas/environment.json`).',
    '',
    '`npx tribo decide <site>` sizes and prices the site on each cloud and weighs them; `--write` puts that into [cloud_decision.md](cloud_decision.md) and the chosen provider into the environments. A test fails where the two disagree. Nothing is provisioned of a site without a decision, above its budget, or, but for `dev`, above $0.01 for 1,000 accepted readings: a site to try with sends so little that what is always there costs more than that.',
    '',
    '## A first site',
    '',
    'A plant of forty machines, whole, as `environments/leeds.prod.yaml`; what it leaves out has the values of the table below:',
    '',
    '```yaml',
    ...EXAMPLE.trimEnd().split('\n'),
    '```',
    '',
    '```sh',
    'npx tribo decide leeds                   # what is wrong in the file, or the site at each cloud on a screen',
    'npx tribo decide leeds --write           # the decision into its document, the cloud into the file',
    'npm run infra && npm run synth           # its stacks, in infra/out/leeds.prod/<cloud>; then docs/deployment.md',
    '```',
    '',
    'A stage to try with is another file, `leeds.dev.yaml`: the same without `decision`, `availabilityPercent` and `switches`, with `stage: dev`, `sizes: small`, another `domain` and `network.range`, and less of the rest. To take a site out again, remove its files and its section of the document.',
    '',
    '## Every key',
    '',
    '| Key | Takes | Without it | What it says |',
    '|---|---|---|---|',
    ...rowsOf(schemaOf(environmentSchema), ''),
    '',
    '## Moving to another cloud',
    '',
    'Regions are named for each cloud, so that `provider:` alone moves a site: where a region has no name for the new cloud, or one outside `residency`, the file is refused. A region with a `provider` of its own stays there. People are another matter: a pool of Cognito is made at AWS alone, and one of Identity Platform at Google Cloud alone. With the issuer of the one at another cloud the site is made whole, and `npm run synth` and `npx tribo decide` say that people come in by one-time links alone until `identity` names an issuer that they have there. Entra ID, and any other issuer, is taken at every cloud. Authorities of devices (`devices.authorities`) are of AWS alone: at another cloud the site is made whole without them, which `npm run synth` and `npx tribo decide` say, and each device is added by hand.',
    '',
    '## What is weighed',
    '',
    ...Object.entries(CRITERION_MEANING).map(([criterion, meaning]) => `- **${criterion}**: ${meaning}.`),
    '',
    'A cloud without a region within the residency, with a service that does not take the load, or whose stacks do not make what the site asks for, is not weighed. The score is the mean of the four by their weights; the highest is the choice, of equal ones the cheapest.',
    '',
    '## What is priced, and how far to trust it',
    '',
    'Prices are data: `environments/prices/<cloud>.yaml`, each with its date, source and trust.',
    '',
    ...Object.entries(TRUST_MEANING).map(([trust, meaning]) => `- **${trust}**: ${meaning}.`),
    '',
    'They are list prices of one region of the United States: other regions differ, in Europe by some percent, elsewhere by more. Not in them: ' +
      `${NOT_PRICED}.` +
      ' Of models behind an endpoint its machines are priced, as many as are always there, and not calls of one that is paid by the call, training jobs, and at Azure what their workspace has besides, such as private endpoints of its network at $7 a month each (the embedded runtime is part of the services). Not priced is what Pub/Sub keeps, beside what is on the topics, for a group that is away for more than a day. Nor, with Kubernetes, disks of nodes and of pods, what CloudWatch takes for watching each pod, and at Azure bytes of the balancer and of the private link, and logs of the control plane; nothing is taken off for what Google gives away of the fee of a cluster. Nor, at Azure, the function `sensor-data-processor` with its queue, which cost by what is sent, and its private endpoint ($7 a month); requests and bytes of Front Door, alarms (ten cents a metric), private names, calls of vaults and mails; nor, at Google Cloud, the same function with its topic, and private names. Nor, with `switches.secondRegion`, what the database sends to its copy, and at Azure the list of changes by which objects are copied. Nor, with `switches.pipeline: codepipeline`, minutes of its builds, its bucket and its alarm; nor, with `switches.warehouse`, results of queries that are kept, requests for the files that they read, and at Google Cloud what it charges for reading archived objects. Taking logs in is priced.' +
      ' `retention.streamHours` is priced: above 24 hours a shard of Kinesis costs more, however much longer; what topics of Pub/Sub keep is by the GiB, from the first day; at MSK it is disk; at Managed Service for Apache Kafka it is not priced what the storage of the service itself keeps, nor what replicas send between zones; at Event Hubs what is above 84 GB a throughput unit costs as much as blobs. Basic Ingest of IoT Core, which has no message fee, is not taken into account, as the gateway does not use its topics.',
    '',
    'Of regions the first has everything. Each other with a `controlApi` or `aiApi` is priced with services, network, gateway and streams as large as the first, so that it would take over, which no stack makes yet: the decision says how much of the price that is ([infra/README.md](../infra/README.md#what-is-not-there-yet)). What is counted by use is priced once, as machines send to one region at a time. With `switches.secondRegion` the second has a copy of database and objects; no later one has. A region with neither is a name for later, and costs nothing.',
    '',
    'Sizes follow the limits of the services: shards by bytes and records in and by bytes out to every consumer group, throughput units the same for a whole namespace, units of IoT Hub by messages of 4 KB a day and sends a second, at `peakFactor` times the mean where a limit is by the second. Measured are bytes in PostgreSQL, of windows and in the raw archive; estimates are the vCPU that a message takes in each service, the readings that a vCPU of the database takes, events of waveforms, logs and queries. They are named as such where they stand (core/decision/demand.ts).',
    '',
  ].join('\n');
}

function schemaOf(schema: z.ZodType): Field {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Field;
}

function rowsOf({ properties = {}, required = [] }: Field, prefix: string): readonly string[] {
  return Object.entries(properties).flatMap(([key, field]) => {
    const name = `${prefix}${key}`;
    const without = required.includes(key)
      ? 'refused'
      : field.default === undefined || typeof field.default === 'object'
        ? ''
        : `\`${JSON.stringify(field.default)}\``;
    const row = `| \`${name}\` | ${takenBy(field)} | ${without} | ${field.description ?? ''} |`;
    const below = field.items?.properties ? rowsOf(field.items, `${name}[].`) : rowsOf(field, `${name}.`);
    return [row, ...below];
  });
}

function takenBy(field: Field): string {
  if (field.properties) return 'a mapping';
  if (field.items?.enum) return `${allowedBy(field)}: ${field.items.enum.join(', ')}`;
  return allowedBy(field);
}
