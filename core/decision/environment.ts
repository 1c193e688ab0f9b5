import { z } from 'zod';
import { CLOUDS } from './cloud.ts';
import { JURISDICTIONS } from './regions.ts';

/** How far a site's environment is from the machines that matter. */
export const STAGES = ['dev', 'staging', 'prod'] as const;

/** How much the services and the database have at the least; load makes it more. */
export const SIZES = ['small', 'standard', 'large'] as const;
export type Sizes = (typeof SIZES)[number];

/** What CloudWatch takes as days of retention, which the other clouds take too. */
const LOG_DAYS = [30, 60, 90] as const;
const DAY_S = 86_400;

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,22}[a-z0-9]$/, '2..24 lower-case letters, digits and hyphens, beginning with a letter');
const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const host = z
  .string()
  .max(200)
  .regex(new RegExp(`^${LABEL}(\\.${LABEL})+$`), 'the name of a host, such as tribo.akron.example');
const httpsAddress = z
  .string()
  .max(500)
  .regex(new RegExp(`^https://${LABEL}(\\.${LABEL})*(:\\d+)?(/\\S*)?$`), 'an https address');
const mail = z.string().regex(/^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'a mail address');
const range = z
  .string()
  .regex(
    /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}\/(0|[1-9]\d?)$/,
    'a range of private IPv4 addresses, such as 10.40.0.0/16',
  );
const tag = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,61}$/, '1..62 letters, digits, spaces and _ . @ -');
const group = z.string().min(1).max(200).optional();
const certificate = z
  .string()
  .max(16_384)
  .regex(
    /^-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=]{1,76}\n)+-----END CERTIFICATE-----\n?$/,
    'one certificate as PEM, from its line BEGIN CERTIFICATE to its line END CERTIFICATE',
  );
const days = (most: number) => z.int().min(1).max(most);
const share = z.int().min(0).max(10);
const known = z.int().min(0).max(5);

const region = z.strictObject({
  provider: z
    .enum(CLOUDS)
    .optional()
    .describe('The cloud of this region alone, where it is another than that of the environment.'),
  aws: z.string().optional().describe('Its name at AWS.'),
  azure: z.string().optional().describe('Its name at Azure.'),
  gcp: z.string().optional().describe('Its name at Google Cloud.'),
  range: range
    .optional()
    .describe('Private addresses of its network, /16 to /20; of the first region they are network.range.'),
  controlApi: httpsAddress.optional().describe('Where the API of the platform answers in this region.'),
  aiApi: httpsAddress.optional().describe('Where models and the assistant answer in this region.'),
});

const workload = z.strictObject({
  machines: z.int().min(1).max(100_000).describe('Machines that send.'),
  devices: z.int().min(1).max(100_000).optional().describe('Connected devices; as many as machines without it.'),
  messageIntervalS: z.number().min(0.01).max(DAY_S).describe('Seconds between two messages of one machine.'),
  readingsPerMessage: z.int().min(1).max(10_000).describe('Values in a message.'),
  bytesPerMessage: z.int().min(1).max(128_000).describe('Bytes of a message with all that is around the values.'),
  metricsPerMachine: z.int().min(1).max(1000).describe('Different metrics of a machine.'),
  peakFactor: z
    .number()
    .min(1)
    .max(20)
    .default(2)
    .describe('How many times its mean the load is at its peak; streams and services are sized for it.'),
  waveforms: z
    .strictObject({
      perMachinePerDay: z.number().min(0.01).max(DAY_S).describe('Waveforms of a machine and day.'),
      bytes: z.int().min(32).max(8_000_000).describe('Bytes of one, as it is sent.'),
    })
    .optional()
    .describe('What machines with vibration sensors send beside their values.'),
});

const switches = z.strictObject({
  multiAz: z.boolean().default(false).describe('Database, services and network in several zones.'),
  secondRegion: z.boolean().default(false).describe('A replica of database and objects in the next region.'),
  orchestrator: z
    .enum(['containers', 'kubernetes'])
    .default('containers')
    .describe("What runs the services: the cloud's container service, or its Kubernetes."),
  eventStream: z.enum(['native', 'kafka']).default('native').describe("The cloud's own stream, or its Kafka."),
  warehouse: z.boolean().default(false).describe('History as tables for the query engine of the cloud.'),
  modelEndpoint: z
    .enum(['none', 'serverless', 'instance'])
    .default('none')
    .describe("What runs models: the services themselves, or the cloud's endpoint, paid by the call or by the hour."),
  rawArchive: z.boolean().default(false).describe('Every accepted message kept as it came.'),
  pipeline: z
    .enum(['github', 'codepipeline'])
    .default('github')
    .describe('What deploys it: the workflows at GitHub, or CodePipeline in its account at AWS.'),
});

const role = z
  .string()
  .regex(/^arn:[a-z-]+:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, 'the ARN of a role, arn:aws:iam::<account>:role/<name>');

const pipeline = z.strictObject({
  repository: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,39}\/[A-Za-z0-9._-]{1,100}$/, 'a repository on GitHub, owner/name')
    .describe('Whose commits are deployed.'),
  branch: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$/, 'the name of a branch')
    .default('main')
    .describe('Of which each commit starts it.'),
  connection: z
    .string()
    .regex(
      /^arn:[a-z-]+:code(star-)?connections:[a-z0-9-]+:\d{12}:connection\/[0-9a-f-]{36}$/,
      'the ARN of a connection of CodeConnections',
    )
    .optional()
    .describe('By which AWS reads the repository; without it one is made, which somebody confirms once.'),
  planner: role.describe('The role that looks at what is deployed, and may change nothing.'),
  deployer: role.describe('The role that applies the stacks.'),
});

const devices = z.strictObject({
  authorities: z
    .array(
      z.strictObject({
        tenant: name.describe('One of tenants: its devices are those of this tenant alone.'),
        certificate: certificate.describe('That of the authority, as PEM; never its key.'),
      }),
    )
    .min(1)
    .max(20)
    .describe(
      'Authorities of the site’s own, at AWS: a device with a certificate of one registers as it first connects.',
    ),
});

const retention = z.strictObject({
  readingsDays: days(1830).describe('Single readings in the database.'),
  rollupsDays: days(3660).describe('Minutes in the database.'),
  waveformsDays: days(3660).describe('Waveforms in the object store; after 90 days in its archive.'),
  rawArchiveDays: days(3660).default(365).describe('The raw archive, where it is kept; after 90 days in the archive.'),
  streamHours: z
    .int()
    .min(24)
    .max(168)
    .default(24)
    .describe('Events on the streams: the longest outage of a consumer.'),
  logDays: z.literal(LOG_DAYS).default(30).describe('Logs.'),
  backupDays: z.int().min(7).max(35).describe('Backups of the database, to any second of which it can be restored.'),
});

const decision = z.strictObject({
  by: z.string().min(2).max(100).describe('Who decides.'),
  reason: z.string().min(20).max(500).describe('Why, in the words of who decides.'),
  identity: z
    .enum([...CLOUDS, 'other'])
    .describe('Whose directory the people of the site are in already: Cognito, Entra ID, Google, or another.'),
  experience: z
    .strictObject({
      aws: known.describe('Of AWS.'),
      azure: known.describe('Of Azure.'),
      gcp: known.describe('Of Google Cloud.'),
    })
    .describe('What those who will run it know of each cloud, from 0 to 5.'),
  weights: z
    .strictObject({
      cost: share.describe('The monthly price.'),
      operation: share.describe('How little has to be run by the site itself.'),
      identity: share.describe('That people are in the directory of the cloud already.'),
      experience: share.describe('That those who run it know the cloud.'),
    })
    .describe('What counts how much against the others.'),
});

/** One environment of a site, `environments/<site>.<stage>.yaml`: where it runs, how large it is, what it may cost. No logic and no secrets. */
export const environmentSchema = z.strictObject({
  site: name.describe('The site; the first part of the name of the file.'),
  stage: z.enum(STAGES).describe('The stage; the second part of the name of the file.'),
  provider: z.enum(CLOUDS).describe('The cloud that was chosen; docs/cloud_decision.md says why.'),
  accounts: z
    .strictObject({
      aws: z
        .string()
        .regex(/^\d{12}$/, 'the 12 digits of an account, in quotes')
        .optional()
        .describe('The account at AWS.'),
      azure: z
        .string()
        .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'the id of a subscription')
        .optional()
        .describe('The subscription at Azure.'),
      gcp: z
        .string()
        .regex(/^[a-z][a-z0-9-]{4,28}[a-z0-9]$/, 'the id of a project')
        .optional()
        .describe('The project at Google Cloud.'),
    })
    .optional()
    .describe('The account, subscription or project; without it, that of whoever deploys.'),
  domain: host.describe('Under which the API and the page answer.'),
  regions: z.array(region).min(1).max(5).describe('Where it runs, in the order of failover; the first is the primary.'),
  residency: z.array(z.enum(JURISDICTIONS)).min(1).describe('Countries in which its data has to stay, or EU.'),
  tenants: z.array(name).min(1).max(100).describe('Whose machines these are.'),
  workload: workload.describe('What the machines send.'),
  devices: devices.optional().describe('Devices that register themselves; without it, each is registered by hand.'),
  availabilityPercent: z
    .number()
    .min(90)
    .max(99.99)
    .default(99)
    .describe('Of the API, a month; from 99.9 on several zones are needed.'),
  sizes: z.enum(SIZES).describe('What services and database have at the least.'),
  switches: switches.prefault({}).describe('What it has beside the rest.'),
  pipeline: pipeline.optional().describe('How it is deployed, with switches.pipeline: codepipeline.'),
  retention: retention.describe('How long what is kept.'),
  network: z
    .strictObject({
      range: range.describe('Of the whole network of the first region, /16 to /20.'),
      pods: range.optional().describe('Of pods, with Kubernetes; at Azure /16 to /19.'),
      services: range.optional().describe('Of services, with Kubernetes.'),
    })
    .describe('Private addresses.'),
  identity: z
    .strictObject({
      issuer: httpsAddress.describe('The issuer of the tokens of people and programs.'),
      audience: z.string().min(1).max(200).describe('What tokens have to be for.'),
      clientIds: z
        .array(z.string().min(1).max(200))
        .min(1)
        .max(20)
        .optional()
        .describe('Applications whose tokens are taken, where tokens name no audience, as those of Cognito.'),
      tenant: z
        .strictObject({
          claim: z.string().min(1).max(200).optional().describe('The claim of a token that names it.'),
          is: name.optional().describe('One of tenants, for all who have a token.'),
        })
        .optional()
        .describe('Of whoever has a token, claim or is; without it, the claim tenant.'),
      groups: z
        .strictObject({
          viewer: group.describe('Who look.'),
          operator: group.describe('Who acknowledge alarms.'),
          engineer: group.describe('Who change machines, rules and models.'),
          admin: group.describe('Who change everything.'),
          ingest: group.describe('Programs that send readings.'),
        })
        .optional()
        .describe(
          'Groups of the issuer (the claim groups), by name or id, whose members have a role; without it, roles are named as here.',
        ),
      signIn: z
        .strictObject({
          id: z
            .string()
            .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, '1 to 32 of a-z 0-9 -')
            .describe('Names the issuer in addresses.'),
          name: z.string().min(1).max(64).describe('On the button of the page.'),
          clientId: z.string().min(1).max(200).describe('The application of the page at the issuer.'),
          clientSecretName: z
            .string()
            .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/, 'the name of a secret, of letters, digits, _ and -')
            .optional()
            .describe('Under which name the secret store has its secret; without it, it is public.'),
        })
        .optional()
        .describe('How people sign in at the page (docs/adapters/oidc.md); without it, by one-time links alone.'),
    })
    .describe(
      'Who lets people in. Of Cognito at AWS and of Identity Platform at Google Cloud the stacks make what is the site’s own, and the issuer alone counts.',
    ),
  budget: z
    .strictObject({
      usdPerMonth: z.number().min(1).max(1_000_000).describe('More than that is refused before it is provisioned.'),
      tell: z.array(mail).min(1).max(10).describe('Who is told when it is nearly spent.'),
    })
    .describe('What it may cost.'),
  tags: z
    .strictObject({
      project: tag.describe('What it belongs to.'),
      costCenter: tag.describe('Who pays.'),
      owner: mail.describe('Who answers for it.'),
    })
    .describe('On every resource, beside environment and tenant.'),
  decision: decision
    .optional()
    .describe("What the choice of the cloud rests on; in one of the site's files, that of its most demanding stage."),
});

/** What is in effect: every default is there. */
export type Environment = z.infer<typeof environmentSchema>;
/** The load that an environment is made for. */
export type Workload = Environment['workload'];
/** What people weigh. */
export type DecisionInput = NonNullable<Environment['decision']>;
