import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CLOUDS } from '#core/decision/cloud.ts';
import { recordedDecisions, withSection } from '#core/decision/decision-document.ts';
import { rangesOverlap, regionsAt } from '#core/decision/environment-rules.ts';
import { planAt } from '#core/decision/plan-at.ts';
import { decisionOf, disagreements, obstaclesToProvision, sectionOf, siteNamed } from './decisions.ts';
import { loadPrices, loadSites, type Site } from './environment-files.ts';
import { environmentsPage, generatedSchemas } from './generated-documents.ts';

const prices = loadPrices('environments/prices');
const sites = loadSites('environments');
const document = readFileSync('docs/cloud_decision.md', 'utf8');
const environments = sites.flatMap((site) => site.environments);

/** A site with other environments than its files have. */
const changed = (
  site: Site,
  change: (environment: Site['decided']['environment']) => Site['decided']['environment'],
): Site => {
  const then = site.environments.map((each) => ({ ...each, environment: change(each.environment) }));
  return { ...site, environments: then, decided: then[site.environments.indexOf(site.decided)]! };
};

describe('docs/cloud_decision.md', () => {
  it('agrees with the environments and the prices: npx tribo decide <site> --write mends it', () => {
    expect(disagreements(sites, document, prices)).toEqual([]);
  });

  it('has three sites that chose three clouds', () => {
    expect(new Set(recordedDecisions(document).map(({ provider }) => provider))).toEqual(new Set(CLOUDS));
  });

  it.each([
    {
      what: 'an environment at another cloud',
      change: (site: Site) => changed(site, (environment) => ({ ...environment, provider: 'gcp' })),
      problem:
        /^environments\/akron\.dev\.yaml:5: provider is gcp, and aws was decided: run npx tribo decide akron --write$/,
    },
    {
      what: 'another load',
      change: (site: Site) =>
        changed(site, (environment) => ({ ...environment, workload: { ...environment.workload, machines: 121 } })),
      problem: /^the section akron is not what its environments and the prices give/,
    },
    {
      what: 'somebody else who decides',
      change: (site: Site) => ({ ...site, input: { ...site.input, by: 'Somebody else' } }),
      problem: /^the section akron is not what its environments and the prices give/,
    },
  ])('disagrees with $what', ({ change, problem }) => {
    const akron = siteNamed(sites, 'akron');
    const then = sites.map((site) => (site === akron ? change(site) : site));
    expect(disagreements(then, document, prices)[0]).toMatch(problem);
  });

  it('disagrees with another price', () => {
    const { messagesMillion } = prices.aws.items;
    const items = { ...prices.aws.items, messagesMillion: { ...messagesMillion, usd: 2 } };
    const told = disagreements(sites, document, { ...prices, aws: { ...prices.aws, items } });
    expect(told).toContainEqual(expect.stringMatching(/^the section akron is not what/));
  });

  it('disagrees with a site that has no section, and a section that has no site', () => {
    const akron = siteNamed(sites, 'akron');
    expect(disagreements([akron], '# None\n', prices)).toEqual([
      expect.stringMatching(/^the document has no section akron/),
    ]);
    expect(disagreements([akron], document, prices)).toContainEqual(
      expect.stringMatching(/^the document has a section gent, and/),
    );
  });

  it('keeps its other sections when one is written anew', () => {
    const [first] = recordedDecisions(document);
    const site = siteNamed(sites, first!.site);
    expect(withSection(document, site.name, sectionOf(site, prices, first!.date))).toBe(document);
  });
});

describe('the environments that ship', () => {
  it.each(environments.map((each) => [each.path, each] as const))('%s may be provisioned', (_path, each) => {
    expect(obstaclesToProvision(each, document, prices)).toEqual([]);
  });

  it('are a small plant on each cloud in dev and prod, and one in three regions of which one is at another cloud', () => {
    for (const cloud of CLOUDS) {
      const stages = environments
        .filter(({ environment }) => environment.provider === cloud)
        .map(({ environment }) => environment.stage);
      expect(stages).toEqual(expect.arrayContaining(['dev', 'prod']));
    }
    const { environment } = environments.find((each) => each.environment.regions.length === 3)!;
    expect(regionsAt(environment, environment.provider)).toEqual([
      { cloud: 'aws', name: 'us-east-1', answers: true, hasData: true },
      { cloud: 'aws', name: 'eu-west-1', answers: true, hasData: true },
      { cloud: 'azure', name: 'westeurope', answers: true, hasData: false },
    ]);
    expect(environment.regions.flatMap(({ controlApi, aiApi }) => [controlApi, aiApi]).filter(Boolean)).toHaveLength(6);
  });

  it('have a dev that is smaller, keeps less and costs less than prod', () => {
    for (const { name, environments: stages } of sites) {
      const of = (stage: string) => stages.find(({ environment }) => environment.stage === stage)?.environment;
      const [dev, prod] = [of('dev'), of('prod')!];
      if (!dev) continue;
      expect(dev.retention.readingsDays).toBeLessThan(prod.retention.readingsDays);
      expect(dev.workload.messageIntervalS).toBeGreaterThan(prod.workload.messageIntervalS);
      const usd = (environment: typeof prod) => planAt(environment.provider, environment, prices).usdPerMonth;
      expect({ name, dev: usd(dev) < usd(prod) }).toEqual({ name, dev: true });
    }
  });

  it('have no network that overlaps that of another', () => {
    const ranges = environments.flatMap(({ environment }) =>
      [...Object.values(environment.network), ...environment.regions.map(({ range }) => range)].filter(
        (range) => range !== undefined,
      ),
    );
    const overlapping = ranges.flatMap((one, index) =>
      ranges.slice(index + 1).flatMap((other) => (rangesOverlap(one, other) ? [[one, other]] : [])),
    );
    expect(overlapping).toEqual([]);
  });
});

describe('what stands in the way of provisioning', () => {
  const [akron] = siteNamed(sites, 'akron').environments.filter(({ environment }) => environment.stage === 'prod');

  it('is a site without a decision', () => {
    expect(obstaclesToProvision(akron!, '# Decisions\n', prices)).toEqual([
      'environments/akron.prod.yaml:1: there is no decision of akron: run npx tribo decide akron --write',
    ]);
  });

  it('is a budget below the plan, by its line, with what to shrink', () => {
    const { environment } = akron!;
    const poor = { ...akron!, environment: { ...environment, budget: { ...environment.budget, usdPerMonth: 1000 } } };
    expect(obstaclesToProvision(poor, document, prices)).toEqual([
      expect.stringMatching(
        /^environments\/akron\.prod\.yaml:\d+: budget\.usdPerMonth is \$1000, and the plan costs \$\d+\.\d\d a month: most of it is [a-z ]+, \$\d+\.\d\d; shrink [a-z ]+ first: .+ saves \$\d+\.\d\d$/,
      ),
    ]);
  });

  it('is a service that does not take the load, by the line of the load', () => {
    const { environment } = akron!;
    const workload = { ...environment.workload, machines: 1, messageIntervalS: 0.01 };
    const budget = { ...environment.budget, usdPerMonth: 2000 };
    const fast = { ...akron!, environment: { ...environment, workload, budget } };
    expect(obstaclesToProvision(fast, document, prices)).toEqual([
      expect.stringMatching(/^environments\/akron\.prod\.yaml:12: workload does not fit AWS: a connection to IoT Core/),
    ]);
  });

  it('is what its cloud does not make, by its line; of another cloud nothing is asked', () => {
    const { environment } = akron!;
    const switches = { ...environment.switches, modelEndpoint: 'serverless' as const };
    const budget = { ...environment.budget, usdPerMonth: 5000 };
    const at = (provider: 'aws' | 'azure') => ({
      ...akron!,
      environment: { ...environment, provider, switches, budget },
    });
    expect(obstaclesToProvision(at('azure'), document, prices)).toEqual([
      expect.stringMatching(
        /^environments\/akron\.prod\.yaml:\d+: switches\.modelEndpoint: serverless is not made at Azure yet$/,
      ),
    ]);
    expect(obstaclesToProvision(at('aws'), document, prices)).toEqual([]);
  });

  it('is not the cloud: a site that moves by its provider may be looked at before it is decided', () => {
    const moved = { ...akron!, environment: { ...akron!.environment, provider: 'gcp' as const } };
    expect(obstaclesToProvision(moved, document, prices)).toEqual([]);
  });
});

describe('what is computed of a site', () => {
  it('rests on what it needs, not on the cloud that its files name now', () => {
    for (const site of sites)
      for (const provider of CLOUDS) {
        const { choice, candidates, changes } = decisionOf(
          changed(site, (environment) => ({ ...environment, provider })),
          prices,
        );
        expect({ choice, candidates, changes }).toMatchObject({
          choice: decisionOf(site, prices).choice,
          candidates: decisionOf(site, prices).candidates,
          changes: decisionOf(site, prices).changes,
        });
      }
  });
});

describe('what is generated: npm run docs:environments', () => {
  it.each(Object.entries(generatedSchemas()))('%s is what the schema gives', (path, schema) => {
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(JSON.parse(JSON.stringify(schema)));
  });

  it('docs/environments.md is what the schema gives', () => {
    expect(readFileSync('docs/environments.md', 'utf8')).toBe(environmentsPage());
  });

  it('has a first site that any cloud would do for within its budget, and a stage to try with as it is told', () => {
    const [, example = ''] = /```yaml\n(.+?)```/s.exec(environmentsPage())!;
    const dev = example
      .slice(0, example.indexOf('decision:'))
      .replace(/^(availabilityPercent|switches):.*\n/gm, '')
      .replace('stage: prod', 'stage: dev')
      .replace('sizes: standard', 'sizes: small')
      .replace('domain: ', 'domain: dev.')
      .replace('10.90.0.0/16', '10.91.0.0/16');
    const folder = mkdtempSync(join(tmpdir(), 'tribo-first-site-'));
    writeFileSync(join(folder, 'leeds.prod.yaml'), example);
    writeFileSync(join(folder, 'leeds.dev.yaml'), dev);
    const [site] = loadSites(folder);
    rmSync(folder, { recursive: true });
    expect(decisionOf(site!, prices).candidates.flatMap(({ obstacles }) => obstacles)).toEqual([]);
    const decided = withSection('# Decisions\n', 'leeds', sectionOf(site!, prices, '2026-11-23'));
    for (const each of site!.environments)
      for (const provider of CLOUDS) {
        const there = { ...each, environment: { ...each.environment, provider } };
        expect(obstaclesToProvision(there, decided, prices)).toEqual([]);
      }
  });

  it('says of every key what it is for', () => {
    expect(environmentsPage().match(/^\| `[^|]*\| [^|]*\| [^|]*\| {2}\|$/gm)).toBeNull();
  });
});
