import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { environmentRemarks } from '#core/decision/environment-rules.ts';
import { certificateAuthority, selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import { ConfigurationError } from '../config/configuration-error.ts';
import { loadEnvironment, loadPrices, loadSites } from './environment-files.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-environments-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A line for each part, so that the line of what is wrong can be told. */
const GOOD = `site: akron
stage: prod
provider: aws
domain: tribo.akron.example
regions:
  - { aws: us-east-2, azure: eastus2, gcp: us-east5 }
residency: [US]
tenants: [acme]
workload:
  machines: 120
  messageIntervalS: 5
  readingsPerMessage: 8
  bytesPerMessage: 600
  metricsPerMachine: 8
availabilityPercent: 99.9
sizes: standard
switches:
  multiAz: true
retention:
  readingsDays: 90
  rollupsDays: 730
  waveformsDays: 365
  backupDays: 30
network:
  range: 10.40.0.0/16
identity:
  issuer: https://id.akron.example
  audience: tribo
budget:
  usdPerMonth: 1200
  tell: [it@akron.example]
tags:
  project: tribo
  costCenter: manufacturing
  owner: it@akron.example
decision:
  by: Plant IT
  reason: People sign in with Cognito already.
  identity: aws
  experience: { aws: 5, azure: 1, gcp: 2 }
  weights: { cost: 4, operation: 3, identity: 2, experience: 3 }
`;

function problemsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems.map((each) => each.replaceAll(`${folder}/`, ''));
    throw error;
  }
  return [];
}

function written(text: string, name = 'akron.prod.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const changed = (from: string, to: string) => {
  expect(GOOD).toContain(from);
  return GOOD.replace(from, to);
};

describe('a file of an environment', () => {
  it('gives what it says, with the defaults of what it does not say', () => {
    expect(loadEnvironment(written(GOOD)).environment).toMatchObject({
      site: 'akron',
      regions: [{ aws: 'us-east-2' }],
      workload: { machines: 120, peakFactor: 2 },
      switches: { multiAz: true, secondRegion: false, orchestrator: 'containers', eventStream: 'native' },
      retention: { streamHours: 24, logDays: 30 },
    });
  });

  it.each([
    ['an unknown provider', 'provider: aws', 'provider: ibm', ':3: provider must be one of aws, azure, gcp, got "ibm"'],
    [
      'an unknown stage',
      'stage: prod',
      'stage: production',
      ':2: stage must be one of dev, staging, prod, got "production"',
    ],
    [
      'a site that is no name',
      'site: akron',
      'site: Akron Hall',
      ':1: site must be 2..24 lower-case letters, digits and hyphens, beginning with a letter, got "Akron Hall"',
    ],
    [
      'a name that is not that of the file',
      'site: akron',
      'site: dayton',
      ':1: site and stage are dayton.prod: the file must be named dayton.prod.yaml',
    ],
    ['a key that is not there', 'domain: tribo.akron.example\n', '', ':1: domain is missing: it must be text'],
    [
      'a part that is not there',
      '  machines: 120\n',
      '',
      ':9: workload.machines is missing: it must be a whole number, 1..100000',
    ],
    [
      'a key that nobody knows',
      'sizes: standard',
      'sizes: standard\nsize: large',
      /^akron\.prod\.yaml:17: size is no key here; there are site, stage, provider, /,
    ],
    [
      'a key below that nobody knows',
      '  multiAz: true',
      '  multiAZ: true',
      ':18: switches.multiAZ is no key here; there are multiAz, secondRegion, orchestrator, eventStream, warehouse, modelEndpoint, rawArchive, pipeline',
    ],
    ['no machine', 'machines: 120', 'machines: 0', ':10: workload.machines must be a whole number, 1..100000, got 0'],
    [
      'half a machine',
      'machines: 120',
      'machines: 1.5',
      ':10: workload.machines must be a whole number, 1..100000, got 1.5',
    ],
    [
      'a number in quotes',
      'machines: 120',
      "machines: '120'",
      ':10: workload.machines must be a whole number, 1..100000, got "120"',
    ],
    [
      'an interval of nothing',
      'messageIntervalS: 5',
      'messageIntervalS: 0',
      ':11: workload.messageIntervalS must be a number, 0.01..86400, got 0',
    ],
    [
      'a message that no gateway takes',
      'bytesPerMessage: 600',
      'bytesPerMessage: 200000',
      ':13: workload.bytesPerMessage must be a whole number, 1..128000, got 200000',
    ],
    [
      'a region of nobody',
      'aws: us-east-2',
      'aws: us-east-9',
      ':6: regions[0].aws must be a region of AWS, got us-east-9; within the residency: us-east-1, us-east-2, us-west-1, us-west-2',
    ],
    [
      'a region of another cloud',
      'azure: eastus2',
      'azure: us-east-1',
      /:6: regions\[0\]\.azure must be a region of Azure, got us-east-1; within the residency: eastus, /,
    ],
    [
      'no region at its provider',
      'aws: us-east-2, ',
      '',
      ':6: regions[0] has no aws, where it runs: name a region of AWS',
    ],
    [
      'a region outside the residency',
      'gcp: us-east5',
      'gcp: europe-west1',
      ':6: regions[0].gcp is in BE, and data has to stay in US (residency)',
    ],
    [
      'a region without zones',
      'azure: eastus2',
      'azure: northcentralus',
      ':6: regions[0].azure northcentralus has no zones, which switches.multiAz wants: choose another region',
    ],
    [
      'no region at all',
      'regions:\n  - { aws: us-east-2, azure: eastus2, gcp: us-east5 }',
      'regions: []',
      ':5: regions must be a list of 1..5, got []',
    ],
    [
      'a residency that nobody knows',
      'residency: [US]',
      'residency: [USA]',
      /:7: residency\[0\] must be one of EU, AE, AU, .*, got "USA"/,
    ],
    [
      'a second region without one',
      '  multiAz: true',
      '  multiAz: true\n  secondRegion: true',
      ':19: switches.secondRegion wants a second entry in regions',
    ],
    [
      'a high availability in one zone',
      '  multiAz: true',
      '  multiAz: false',
      ':15: availabilityPercent of 99.9 wants several zones: set switches.multiAz, or at most 99.89',
    ],
    [
      'zones with the smallest sizes',
      'sizes: standard',
      'sizes: small',
      ':16: sizes must be standard or large with switches.multiAz: the smallest databases have no standby',
    ],
    [
      'minutes that are kept for a shorter time than readings',
      'rollupsDays: 730',
      'rollupsDays: 30',
      ':21: retention.rollupsDays must be at least readingsDays, 90, got 30',
    ],
    [
      'streams that are kept for part of a day',
      '  backupDays: 30',
      '  backupDays: 30\n  streamHours: 30',
      ':24: retention.streamHours must be whole days, a multiple of 24, got 30',
    ],
    [
      'logs for a week',
      '  backupDays: 30',
      '  backupDays: 30\n  logDays: 7',
      ':24: retention.logDays must be one of 30, 60, 90, got 7',
    ],
    [
      'few backups in prod',
      'backupDays: 30',
      'backupDays: 7',
      ':23: retention.backupDays must be at least 14 in prod, got 7',
    ],
    [
      'public addresses',
      'range: 10.40.0.0/16',
      'range: 8.8.0.0/16',
      ':25: network.range must be a range of private IPv4 addresses that begins at its mask, such as 10.40.0.0/16, got 8.8.0.0/16',
    ],
    [
      'a range that does not begin at its mask',
      'range: 10.40.0.0/16',
      'range: 10.40.1.0/16',
      /:25: network\.range must be a range of private IPv4 addresses that begins at its mask/,
    ],
    [
      'a network that is too small',
      'range: 10.40.0.0/16',
      'range: 10.40.0.0/24',
      ':25: network.range must be a /16 to /20, got /24',
    ],
    [
      'addresses of pods without Kubernetes',
      'range: 10.40.0.0/16',
      'range: 10.40.0.0/16\n  pods: 10.44.0.0/16',
      ':26: network.pods is of no use without switches.orchestrator: kubernetes',
    ],
    [
      'an issuer without TLS',
      'issuer: https://',
      'issuer: http://',
      ':27: identity.issuer must be an https address, got "http://id.akron.example"',
    ],
    [
      'a budget of nothing',
      'usdPerMonth: 1200',
      'usdPerMonth: 0',
      ':30: budget.usdPerMonth must be a number, 1..1000000, got 0',
    ],
    ['nobody who is told', 'tell: [it@akron.example]', 'tell: []', ':31: budget.tell must be a list of 1..10, got []'],
    [
      'an address that is none',
      'tell: [it@akron.example]',
      'tell: [it]',
      ':31: budget.tell[0] must be a mail address, got "it"',
    ],
    [
      'a decision by nothing',
      'weights: { cost: 4, operation: 3, identity: 2, experience: 3 }',
      'weights: { cost: 0, operation: 0, identity: 0, experience: 0 }',
      ':41: decision.weights must have one above 0: nothing would count',
    ],
    [
      'an account that is a number',
      'domain: tribo',
      'accounts: { aws: 123456789012 }\ndomain: tribo',
      ':4: accounts.aws must be text: put it in quotes, got 123456789012',
    ],
    [
      'a host without one of its parts',
      'domain: tribo.akron',
      'domain: tribo..akron',
      ':4: domain must be the name of a host, such as tribo.akron.example, got "tribo..akron.example"',
    ],
    [
      'an issuer without a part of its host',
      'https://id.',
      'https://id..',
      ':27: identity.issuer must be an https address, got "https://id..akron.example"',
    ],
    [
      'an address with leading zeros, which some read as octal',
      'range: 10.40.0.0/16',
      'range: 010.040.000.000/16',
      ':25: network.range must be a range of private IPv4 addresses, such as 10.40.0.0/16, got "010.040.000.000/16"',
    ],
    [
      'a tenant twice',
      'tenants: [acme]',
      'tenants: [acme, other, acme]',
      ':8: tenants[2] acme is there already: remove one of them',
    ],
    [
      'a country twice',
      'residency: [US]',
      'residency: [US, US]',
      ':7: residency[1] US is there already: remove one of them',
    ],
    [
      'a region twice',
      'residency: [US]',
      '  - { aws: us-east-2, azure: westus3, gcp: us-west1 }\nresidency: [US]',
      ':7: regions[1].aws us-east-2 is that of regions[0]: name another',
    ],
    [
      'no network where another region answers',
      'residency: [US]',
      "  - { aws: us-west-2, azure: westus3, gcp: us-west1, controlApi: 'https://west.akron.example' }\nresidency: [US]",
      ':7: regions[1].range is missing: where services answer, or a copy of the data is, there is a network of its own, such as 10.41.0.0/16',
    ],
    [
      'a network of another region within that of the first',
      'residency: [US]',
      "  - { aws: us-west-2, azure: westus3, gcp: us-west1, controlApi: 'https://west.akron.example', range: 10.40.16.0/20 }\nresidency: [US]",
      ':7: regions[1].range overlaps network.range: choose another range',
    ],
    [
      'a tenant of nobody for all who have a token',
      '  audience: tribo',
      '  audience: tribo\n  tenant: { is: other }',
      ':29: identity.tenant.is must be one of tenants, acme, got other',
    ],
    [
      'an audience of Entra ID that is no application',
      'issuer: https://id.akron.example',
      'issuer: https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0',
      ':28: identity.audience must be the client id of the application, as tokens of Entra ID name no other, got tribo',
    ],
    [
      'a tenant by a claim and for all',
      '  audience: tribo',
      '  audience: tribo\n  tenant: { is: acme, claim: tenant }',
      ':29: identity.tenant must have claim or is, one of them',
    ],
    [
      'a role that nobody knows',
      '  audience: tribo',
      '  audience: tribo\n  groups: { owner: plant-owners }',
      ':29: identity.groups.owner is no key here; there are viewer, operator, engineer, admin, ingest',
    ],
    [
      'a way to sign in without its application',
      '  audience: tribo',
      '  audience: tribo\n  signIn: { id: company, name: Example Corp }',
      ':29: identity.signIn.clientId is missing: it must be text',
    ],
    [
      'an alias of nothing',
      'sizes: standard',
      'sizes: standard\n<<: *rest',
      ':17:5: *rest is set nowhere before: write what it stands for',
    ],
    [
      'an alias of itself',
      'tenants: [acme]',
      'tenants: &all [*all]',
      ':8:16: *all stands for itself: write what it stands for',
    ],
    [
      'aliases that are thousands of values',
      'sizes: standard',
      `sizes: standard\na: &a [1]\nb: &b [${Array(10).fill('*a').join()}]\nc: &c [${Array(10).fill('*b').join()}]\nd: [*c, *c]`,
      ':1:1: Excessive alias count indicates a resource exhaustion attack',
    ],
    [
      'a key twice',
      'sizes: standard',
      'sizes: standard\nsizes: large',
      /^akron\.prod\.yaml:17:1: Map keys must be unique/,
    ],
    ['a bracket that is left open', 'tenants: [acme]', 'tenants: [acme', /^akron\.prod\.yaml:\d+:\d+: /],
  ])('with %s is answered by its line', (_what, from, to, line) => {
    const problems = problemsOf(() => loadEnvironment(written(changed(from, to))));
    expect(problems).toEqual([typeof line === 'string' ? `akron.prod.yaml${line}` : expect.stringMatching(line)]);
  });

  describe('with authorities of devices', () => {
    const AUTHORITY = certificateAuthority();
    const authority = (tenant: string, pem: string) =>
      `    - tenant: ${tenant}\n      certificate: |\n${pem.trimEnd().replaceAll(/^/gm, '        ')}\n`;
    const withAuthorities = (...each: readonly string[]) =>
      changed('availabilityPercent', `devices:\n  authorities:\n${each.join('')}availabilityPercent`);

    it('gives each with the tenant that it speaks for', () => {
      const { devices } = loadEnvironment(written(withAuthorities(authority('acme', AUTHORITY.cert)))).environment;
      expect(devices).toEqual({ authorities: [{ tenant: 'acme', certificate: AUTHORITY.cert }] });
    });

    it.each<[string, readonly string[], RegExp]>([
      [
        'that speaks for a tenant of nobody',
        [authority('other', AUTHORITY.cert)],
        /:17: devices\.authorities\[0\]\.tenant must be one of tenants, acme, got other$/,
      ],
      [
        'that issues nothing',
        [authority('acme', selfSignedCertificate().cert)],
        /:18: devices\.authorities\[0\]\.certificate must be that of an authority \(basicConstraints CA:TRUE\), got one of CN=tribo test \w+$/,
      ],
      [
        'that is there twice',
        [authority('acme', AUTHORITY.cert), authority('acme', AUTHORITY.cert)],
        /devices\.authorities\[1\]\.certificate is that of devices\.authorities\[0\]: an authority speaks for one tenant$/,
      ],
      [
        'that is no certificate',
        [authority('acme', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')],
        /:18: devices\.authorities\[0\]\.certificate cannot be read$/,
      ],
      [
        'with its key',
        [authority('acme', AUTHORITY.cert + AUTHORITY.key)],
        /:18: devices\.authorities\[0\]\.certificate must be one certificate as PEM, from its line BEGIN CERTIFICATE/,
      ],
    ])('one %s is answered by its line', (_what, authorities, line) => {
      const problems = problemsOf(() => loadEnvironment(written(withAuthorities(...authorities))));
      expect(problems).toEqual([expect.stringMatching(line)]);
    });

    it('says at another cloud than AWS that devices register themselves nowhere', () => {
      const at = (provider: string) =>
        environmentRemarks(
          loadEnvironment(
            written(
              withAuthorities(authority('acme', AUTHORITY.cert)).replace('provider: aws', `provider: ${provider}`),
            ),
          ).environment,
        ).map(({ problem }) => problem);
      expect(at('aws')).toEqual([]);
      expect(at('gcp')).toEqual([
        'are of AWS alone: at Google Cloud no device registers itself, and each is added by tribo device add',
      ]);
    });
  });

  it.each([
    [
      'no addresses of pods',
      'services: 10.48.0.0/20',
      ':25: network.pods is missing: with Kubernetes it has addresses of its own',
    ],
    [
      'addresses of services within its network',
      'pods: 10.44.0.0/16\n  services: 10.40.64.0/20',
      ':28: network.services overlaps network.range: choose another range',
    ],
    [
      'few addresses of services',
      'pods: 10.44.0.0/16\n  services: 10.48.0.0/25',
      ':28: network.services must be a /12 to /24, got /25',
    ],
  ])('with Kubernetes and %s is answered by its line', (_what, ranges, line) => {
    const text = changed('  multiAz: true', '  multiAz: true\n  orchestrator: kubernetes');
    const problems = problemsOf(() => loadEnvironment(written(text.replace('/16\n', `/16\n  ${ranges}\n`))));
    expect(problems).toEqual([`akron.prod.yaml${line}`]);
  });

  it.each([
    ['a range of pods that is too small for its nodes', '10.44.0.0/22', ['/22']],
    ['a range of pods that is wider than any cluster needs', '172.16.0.0/15', ['/15']],
    ['the smallest range of pods', '10.44.0.0/19', []],
    ['the widest range of pods', '10.44.0.0/16', []],
  ])('with AKS and %s is answered by its line where that is wrong', (_what, pods, wrong) => {
    const text = changed('  multiAz: true', '  multiAz: true\n  orchestrator: kubernetes');
    const inCluster = (provider: string) =>
      text
        .replace('provider: aws', `provider: ${provider}`)
        .replace('/16\n', `/16\n  pods: ${pods}\n  services: 10.48.0.0/20\n`);
    expect(problemsOf(() => loadEnvironment(written(inCluster('azure'))))).toEqual(
      wrong.map((got) => `akron.prod.yaml:27: network.pods must be a /16 to /19, got ${got}`),
    );
    // Other clouds take no range of it for each node.
    expect(problemsOf(() => loadEnvironment(written(inCluster('aws'))))).toEqual([]);
  });

  const deployer = 'arn:aws:iam::123456789012:role/tribo-deployer';
  const pipeline = `pipeline:
  repository: example/tribo
  planner: arn:aws:iam::123456789012:role/tribo-planner
  deployer: ${deployer}
`;
  const byCodePipeline = changed('  multiAz: true\n', `  multiAz: true\n  pipeline: codepipeline\n${pipeline}`);

  it('may be deployed by CodePipeline, from the branch main where it says no other', () => {
    expect(loadEnvironment(written(byCodePipeline)).environment).toMatchObject({
      switches: { pipeline: 'codepipeline' },
      pipeline: { repository: 'example/tribo', branch: 'main', deployer },
    });
    expect(loadEnvironment(written(GOOD)).environment.switches.pipeline).toBe('github');
  });

  it.each([
    [
      'at another cloud',
      'provider: aws',
      'provider: azure',
      ':19: switches.pipeline must be github where the provider is azure, got codepipeline: it is of AWS alone',
    ],
    [
      'without what it deploys by',
      pipeline,
      '',
      ':1: pipeline is missing: CodePipeline wants repository, planner and deployer',
    ],
    [
      'left to the workflows',
      '  pipeline: codepipeline\n',
      '',
      ':19: pipeline is of no use without switches.pipeline: codepipeline',
    ],
    [
      'by a role that looks and applies',
      'tribo-planner',
      'tribo-deployer',
      `:22: pipeline.planner must be another role than deployer, as it is to change nothing, got ${deployer}`,
    ],
    [
      'of a repository that is an address',
      'example/tribo',
      'https://github.com/example/tribo',
      ':21: pipeline.repository must be a repository on GitHub, owner/name, got "https://github.com/example/tribo"',
    ],
    [
      'with a key in place of a connection',
      'example/tribo\n',
      'example/tribo\n  token: ghp_0000\n',
      /^akron\.prod\.yaml:22: pipeline\.token is no key here; there are repository, branch, connection, planner, deployer/,
    ],
  ])('deployed by CodePipeline %s is answered by its line', (_what, from, to, line) => {
    expect(byCodePipeline).toContain(from);
    const problems = problemsOf(() => loadEnvironment(written(byCodePipeline.replace(from, to))));
    expect(problems).toEqual([typeof line === 'string' ? `akron.prod.yaml${line}` : expect.stringMatching(line)]);
  });

  it('may say who is let in by which issuer, and how they sign in', () => {
    const identity = `  audience: tribo
  clientIds: [1h57kf5cpq17m0eml12EXAMPLE]
  tenant: { is: acme }
  groups: { operator: plant-operators, admin: plant-admins }
  signIn: { id: company, name: Example Corp, clientId: tribo-page, clientSecretName: company-sign-in }`;
    expect(loadEnvironment(written(changed('  audience: tribo', identity))).environment.identity).toMatchObject({
      tenant: { is: 'acme' },
      groups: { operator: 'plant-operators' },
      signIn: { id: 'company', clientId: 'tribo-page' },
    });
  });

  it('is answered with all that is wrong at once, in the order of its lines', () => {
    const text = changed('machines: 120', 'machines: many')
      .replace('provider: aws', 'provider: ibm')
      .replace('tell: [', 'tells: [');
    expect(problemsOf(() => loadEnvironment(written(text)))).toEqual([
      'akron.prod.yaml:3: provider must be one of aws, azure, gcp, got "ibm"',
      'akron.prod.yaml:10: workload.machines must be a whole number, 1..100000, got "many"',
      'akron.prod.yaml:29: budget.tell is missing: it must be a list of 1..10',
      'akron.prod.yaml:31: budget.tells is no key here; there are usdPerMonth, tell',
    ]);
  });

  it('that is not there is named', () => {
    expect(problemsOf(() => loadEnvironment(join(folder, 'none.prod.yaml')))).toEqual([
      expect.stringMatching(/^none\.prod\.yaml cannot be read: .*ENOENT/),
    ]);
  });

  it('may move to another cloud by one word', () => {
    for (const provider of ['azure', 'gcp'])
      expect(loadEnvironment(written(changed('provider: aws', `provider: ${provider}`))).environment.provider).toBe(
        provider,
      );
  });
});

describe('a folder of environments', () => {
  const folderOf = (files: Readonly<Record<string, string>>) => {
    const own = mkdtempSync(join(folder, 'sites-'));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
    return own;
  };
  const told = (own: string) => problemsOf(() => loadSites(own)).map((each) => each.replaceAll(/sites-[^/]+\//g, ''));
  const undecided = GOOD.slice(0, GOOD.indexOf('decision:'));
  const staging = (text: string) => text.replace('stage: prod', 'stage: staging');

  it('is sites with their stages; files that are none are left alone', () => {
    const own = folderOf({
      'akron.prod.yaml': GOOD,
      'akron.staging.yaml': staging(undecided),
      'example-plant.yaml': 'a: 1',
      'README.md': '',
    });
    const [site, ...others] = loadSites(own);
    expect(others).toEqual([]);
    expect(site).toMatchObject({ name: 'akron', input: { by: 'Plant IT' } });
    expect(site?.environments.map(({ environment }) => environment.stage)).toEqual(['prod', 'staging']);
  });

  it.each([
    {
      reason: 'a stage that nobody knows in a name',
      files: { 'akron.test.yaml': GOOD },
      problem: /^akron\.test\.yaml: its second part must be one of dev, staging, prod, got test$/,
    },
    {
      reason: 'nothing that was weighed',
      files: { 'akron.prod.yaml': undecided },
      problem: /^akron\.prod\.yaml: none has a section decision, .+ as docs\/environments\.md shows$/,
    },
    {
      reason: 'an environment in two files',
      files: { 'akron.prod.yaml': GOOD, 'akron.prod.yml': undecided },
      problem: /^akron\.prod\.yml: is described by akron\.prod\.yaml already: remove one of them$/,
    },
    {
      reason: 'two decisions of a site',
      files: { 'akron.prod.yaml': GOOD, 'akron.staging.yaml': staging(GOOD) },
      problem: /^akron\.staging\.yaml:36: decision is in akron\.prod\.yaml already: keep one of them$/,
    },
  ])('with $reason is refused', ({ files, problem }) => {
    expect(told(folderOf(files))).toEqual([expect.stringMatching(problem)]);
  });

  it('is answered with what is wrong in every file', () => {
    const own = folderOf({ 'akron.prod.yaml': GOOD.replace('aws', 'ibm'), 'akron.dev.yaml': 'site: akron' });
    expect(new Set(told(own).map((each) => each.split(':')[0]))).toEqual(
      new Set(['akron.prod.yaml', 'akron.dev.yaml']),
    );
  });

  it('that is not there is named', () => {
    expect(told(join(folder, 'absent'))).toEqual([
      expect.stringMatching(/cannot be read: .*ENOENT.*; name the folder of environments/),
    ]);
  });
});

describe('a file of prices', () => {
  const good = () => readFileSync('environments/prices/gcp.yaml', 'utf8');
  const pricesWith = (text: string) => {
    const own = mkdtempSync(join(folder, 'prices-'));
    mkdirSync(own, { recursive: true });
    for (const cloud of ['aws', 'azure'])
      writeFileSync(join(own, `${cloud}.yaml`), readFileSync(`environments/prices/${cloud}.yaml`));
    writeFileSync(join(own, 'gcp.yaml'), text);
    return problemsOf(() => loadPrices(own)).map((each) => each.replace(/prices-[^/]+\//, ''));
  };

  it('has a price with its date, source and trust for each item', () => {
    const { gcp } = loadPrices('environments/prices');
    expect(gcp.items.throughputTib).toEqual({
      usd: 40,
      per: 'TiB published, and again for each delivery; 10 GiB a month are free',
      asOf: '2026-11',
      trust: 'list',
      source: 'https://cloud.google.com/pubsub/pricing',
    });
  });

  it.each([
    [
      'an item that is not there',
      /^ {2}throughputTib.*\n/m,
      '',
      /^gcp\.yaml:5: items\.throughputTib is missing: it must be a mapping of usd, per, asOf, trust, source, basis$/,
    ],
    [
      'an item that nothing uses',
      /^ {2}throughputTib/m,
      '  other: { usd: 1 }\n  throughputTib',
      /^gcp\.yaml:6: items\.other is no key here; there are throughputTib, /,
    ],
    [
      'a trust that nobody knows',
      'trust: list',
      'trust: sure',
      /^gcp\.yaml:6: items\.throughputTib\.trust must be one of list, secondary, unverified, estimate, got "sure"$/,
    ],
    [
      'an estimate without a basis',
      'trust: list',
      'trust: estimate',
      /^gcp\.yaml:6: items\.throughputTib\.basis must say how the price was estimated/,
    ],
    [
      'a price below nothing',
      'usd: 40',
      'usd: -40',
      /^gcp\.yaml:6: items\.throughputTib\.usd must be a number, 0\.\., got -40$/,
    ],
  ])('with %s is answered by its line', (_what, from, to, line) => {
    const text = good().replace(from, to);
    expect(text).not.toBe(good());
    expect(pricesWith(text)).toEqual([expect.stringMatching(line)]);
  });
});
