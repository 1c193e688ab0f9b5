import { describe, expect, it } from '@jest/globals';
import { loadPrices } from '#services/shared/environments/environment-files.ts';
import { sampleEnvironment } from '#test/support/sample-environment.ts';
import { CLOUDS } from './cloud.ts';
import { boundProblems, savingsOf } from './cost-bounds.ts';
import { candidateOf, decide } from './decide.ts';
import { decisionSection, recordedDecisions, withSection } from './decision-document.ts';
import type { DecisionInput } from './environment.ts';
import { planAt } from './plan-at.ts';

const prices = loadPrices('environments/prices');

const EVEN: DecisionInput = {
  by: 'Plant IT',
  reason: 'The figures speak for it, and nothing against it.',
  identity: 'other',
  experience: { aws: 3, azure: 3, gcp: 3 },
  weights: { cost: 1, operation: 0, identity: 0, experience: 0 },
};
const decided = (changes: Readonly<Record<string, unknown>>, input: Partial<DecisionInput> = {}) =>
  decide(sampleEnvironment(changes), { ...EVEN, ...input }, prices);
const NORWAY = { residency: ['NO'], regions: [{ azure: 'norwayeast' }] };

describe('the choice of a cloud', () => {
  it('is the cheapest where the price alone counts', () => {
    const { choice, candidates } = decided({});
    const [cheapest] = candidates.toSorted((a, b) => a.plan.usdPerMonth - b.plan.usdPerMonth);
    expect(choice).toBe(cheapest?.cloud);
    expect(candidateOf(candidates, choice!).scores.cost).toBe(1);
  });

  it.each(['aws', 'azure', 'gcp'] as const)(
    'is %s where people are in its directory, and that alone counts',
    (cloud) => {
      expect(
        decided({}, { identity: cloud, weights: { cost: 0, operation: 0, identity: 5, experience: 0 } }).choice,
      ).toBe(cloud);
    },
  );

  it.each(['aws', 'azure', 'gcp'] as const)('is %s where it alone is known, and that alone counts', (cloud) => {
    const experience = { aws: 0, azure: 0, gcp: 0, [cloud]: 5 };
    expect(decided({}, { experience, weights: { cost: 0, operation: 0, identity: 0, experience: 1 } }).choice).toBe(
      cloud,
    );
  });

  it('is none with brokers of the site, where having little to run alone counts', () => {
    const { candidates, choice } = decided({}, { weights: { cost: 0, operation: 1, identity: 0, experience: 0 } });
    expect(choice).not.toBe('gcp');
    expect(candidateOf(candidates, 'gcp').score).toBe(0.5);
  });

  it.each([
    { reason: 'no region within the residency', changes: NORWAY, choice: 'azure', message: /AWS has no region in NO/ },
    {
      reason: 'no region named in the file',
      changes: { regions: [{ azure: 'eastus', gcp: 'us-central1' }], provider: 'gcp' },
      choice: 'gcp',
      message: /regions\[0\] names no region of AWS/,
    },
    {
      reason: 'no name in the second region of the file, used or not',
      changes: {
        regions: [
          { aws: 'us-east-1', gcp: 'us-central1' },
          { azure: 'westus2', gcp: 'us-west1' },
        ],
      },
      choice: 'gcp',
      message: /regions\[1\] names no region of AWS/,
    },
    {
      reason: 'a limit of a service',
      changes: {
        workload: { ...sampleEnvironment().workload, machines: 1, messageIntervalS: 0.005 * 2 },
      },
      choice: 'gcp',
      message: /a connection to IoT Core takes 100 messages a second/,
    },
    {
      reason: 'stacks that do not make what the site asks for',
      changes: {
        tenants: ['acme', 'umbra'],
        identity: { issuer: 'https://cognito-idp.us-east-1.amazonaws.com/us-east-1_akron', audience: 'tribo' },
      },
      choice: 'gcp',
      message: /^several tenants with one pool of Cognito is not made at AWS yet$/,
    },
  ])('is never a cloud with $reason, whatever else speaks for it', ({ changes, choice, message }) => {
    const weights = { cost: 1, operation: 1, identity: 10, experience: 10 };
    const experience = { aws: 5, azure: 0, gcp: 0 };
    const decision = decided(changes, {
      identity: 'aws',
      experience,
      weights: { ...weights, ...(choice === 'gcp' && { cost: 10, identity: 0, experience: 0, operation: 0 }) },
    });
    expect(decision.choice).toBe(choice);
    expect(candidateOf(decision.candidates, 'aws').obstacles.join()).toMatch(message);
    expect(candidateOf(decision.candidates, 'aws').score).toBe(0);
  });

  it('is none, and says what it would take, where no cloud will do', () => {
    const { choice, changes } = decided({ residency: ['NO'], regions: [{ aws: 'us-east-1' }] });
    expect(choice).toBeUndefined();
    expect(changes).toHaveLength(1);
  });

  it('counts the price among clouds that are possible: one that is cheaper elsewhere takes nothing from them', () => {
    expect(candidateOf(decided(NORWAY).candidates, 'azure').scores.cost).toBe(1);
  });
});

describe('what would change a choice', () => {
  it('names how much dearer the cloud may become, and that price does change it', () => {
    const { choice, changes } = decided({});
    const line = changes.find((each) => / dearer by \d+ % while the others stay/.test(each))!;
    const percent = Number(/dearer by (\d+) %/.exec(line)?.[1]);
    const at = (factor: number) => {
      const list = prices[choice!];
      const items = Object.fromEntries(
        Object.entries(list.items).map(([item, price]) => [item, { ...price, usd: price.usd * factor }]),
      );
      return decide(sampleEnvironment(), EVEN, { ...prices, [choice!]: { ...list, items } }).choice;
    };
    expect(at(1 + (percent - 1) / 100)).toBe(choice);
    expect(at(1 + percent / 100)).not.toBe(choice);
  });

  it('names a criterion without which it would be another', () => {
    const { changes } = decided(
      {},
      { experience: { aws: 0, azure: 5, gcp: 0 }, weights: { cost: 1, operation: 0, identity: 0, experience: 5 } },
    );
    expect(changes.some((each) => each.startsWith('no weight on experience: '))).toBe(true);
  });

  it('names a load at which it would be another', () => {
    const workload = { ...sampleEnvironment().workload, machines: 20, messageIntervalS: 1, bytesPerMessage: 300 };
    const { choice, sensitivity, changes } = decided(
      { sizes: 'small', workload },
      { weights: { cost: 2, operation: 1, identity: 0, experience: 0 } },
    );
    const other = sensitivity.find((each) => each.choice !== choice)!;
    expect(changes.some((each) => each.startsWith(`${other.name}: `))).toBe(true);
  });

  it('names a load at which what the choice makes is not enough, and why', () => {
    const workload = { ...sampleEnvironment().workload, machines: 1200, messageIntervalS: 1 };
    const { choice, changes } = decided({ workload });
    expect(choice).toBe('gcp');
    expect(changes).toContainEqual(
      expect.stringMatching(/^10 times the machines: .+ \(a load above that of one MQTT broker is not made at Google/),
    );
  });

  it('looks at two, five and ten times the machines, and at messages sent together', () => {
    const { sensitivity } = decided({});
    expect(sensitivity.map(({ name }) => name)).toEqual([
      'today',
      '2 times the machines',
      '5 times the machines',
      '10 times the machines',
      '4 messages sent as one',
    ]);
    for (const { usdPerMonth } of sensitivity.slice(1, 4))
      expect(usdPerMonth.aws).toBeGreaterThan(sensitivity[0]!.usdPerMonth.aws);
    expect(sensitivity[4]!.usdPerMonth.aws).toBeLessThan(sensitivity[0]!.usdPerMonth.aws);
  });
});

describe('the bounds of a plan', () => {
  const chatty = {
    workload: { machines: 200, messageIntervalS: 1, readingsPerMessage: 5, bytesPerMessage: 500, metricsPerMachine: 5 },
  };

  it('are kept by one that costs as much as its budget', () => {
    const environment = sampleEnvironment(chatty);
    const { usdPerMonth } = planAt('aws', environment, prices);
    const of = (budget: number) =>
      boundProblems({ ...environment, budget: { ...environment.budget, usdPerMonth: budget } }, prices);
    expect(of(usdPerMonth)).toEqual([]);
    expect(of(usdPerMonth - 0.01)).toHaveLength(1);
  });

  it.each([
    { largest: 'device gateway', first: '4 messages sent as one', changes: chatty },
    {
      largest: 'database',
      first: 'retention.readingsDays: 365',
      changes: {
        ...chatty,
        workload: { ...chatty.workload, messageIntervalS: 10, readingsPerMessage: 50, bytesPerMessage: 5000 },
        retention: { readingsDays: 730, rollupsDays: 730, waveformsDays: 30, backupDays: 14 },
      },
    },
    {
      largest: 'object store',
      first: 'workload.waveforms.perMachinePerDay: 48',
      changes: {
        workload: { ...chatty.workload, messageIntervalS: 60, waveforms: { perMachinePerDay: 96, bytes: 8_000_000 } },
        provider: 'gcp',
        sizes: 'small',
        retention: { readingsDays: 7, rollupsDays: 30, waveformsDays: 365, backupDays: 14 },
      },
    },
  ])('are told with the largest part, $largest, and what to shrink first: $first', ({ largest, first, changes }) => {
    const [problem] = boundProblems(
      sampleEnvironment({ ...changes, budget: { usdPerMonth: 10, tell: ['a@b.example'] } }),
      prices,
    );
    expect(problem?.at).toEqual(['budget', 'usdPerMonth']);
    expect(problem?.problem).toContain(`most of it is ${largest}`);
    expect(problem?.problem).toContain(`: ${first}`);
  });

  it('say where all savings together fall short, and only there', () => {
    const environment = sampleEnvironment({ ...chatty, switches: { warehouse: true } });
    const problemAt = (usdPerMonth: number) =>
      boundProblems({ ...environment, budget: { ...environment.budget, usdPerMonth } }, prices)[0]?.problem ?? '';
    const [, many, left] = /all (\d+) savings that the file allows leave \$([\d.]+), above \$10\.00/.exec(
      problemAt(10),
    )!;
    const { usdPerMonth } = planAt('aws', environment, prices);
    const savings = savingsOf(environment, prices);
    expect(Number(many)).toBe(savings.length);
    expect(Number(left)).toBeLessThan(usdPerMonth - savings[0]!.savedUsd);
    expect(problemAt(Number(left) + 1)).toContain('the plan costs');
    expect(problemAt(Number(left) + 1)).not.toContain('savings that the file allows');
  });

  it('are those of the services, too', () => {
    const workload = { ...chatty.workload, machines: 1, messageIntervalS: 0.01 };
    expect(
      boundProblems(sampleEnvironment({ workload, budget: { usdPerMonth: 9999, tell: ['a@b.example'] } }), prices),
    ).toEqual([
      { at: ['workload'], problem: expect.stringMatching(/^does not fit AWS: a connection to IoT Core takes 100/) },
    ]);
  });

  it('are a hundredth of a dollar for 1,000 readings, but in dev, where machines are simulated', () => {
    const few = {
      workload: {
        machines: 2,
        messageIntervalS: 60,
        readingsPerMessage: 1,
        bytesPerMessage: 100,
        metricsPerMachine: 1,
      },
    };
    expect(
      boundProblems(sampleEnvironment(few), prices)
        .map(({ problem }) => problem)
        .join(),
    ).toMatch(/1,000 readings cost \$\d+\.\d{4}, above \$0\.01/);
    expect(boundProblems(sampleEnvironment({ ...few, stage: 'dev' }), prices)).toEqual([]);
  });

  it('never advise what availability rules out', () => {
    const changesOf = (availabilityPercent: number) =>
      savingsOf(sampleEnvironment({ switches: { multiAz: true }, availabilityPercent }), prices).map(
        ({ change }) => change,
      );
    expect(changesOf(99.5)).toContain('switches.multiAz: false');
    expect(changesOf(99.9)).not.toContain('switches.multiAz: false');
  });

  it('advise events that are kept for a day, where longer costs more', () => {
    const { retention } = sampleEnvironment();
    const savings = savingsOf(sampleEnvironment({ retention: { ...retention, streamHours: 72 } }), prices);
    expect(savings).toContainEqual(
      expect.objectContaining({ change: 'retention.streamHours: 24', part: 'event stream' }),
    );
  });

  it('advise a region less, where another answers', () => {
    const regions = [
      { aws: 'us-east-1', azure: 'eastus', gcp: 'us-central1' },
      { aws: 'us-west-2', azure: 'westus3', gcp: 'us-west1', controlApi: 'https://control.west.example' },
    ];
    const now = planAt('aws', sampleEnvironment({ regions }), prices).usdPerMonth;
    const without = planAt('aws', sampleEnvironment(), prices).usdPerMonth;
    const saving = savingsOf(sampleEnvironment({ regions }), prices).find(({ change }) => change.startsWith('regions'));
    expect(saving?.change).toBe('regions[1] without controlApi and aiApi');
    expect(saving?.savedUsd).toBeCloseTo(now - without, 6);
  });

  it('name savings that hold: the largest first, and each by what it says', () => {
    const environment = sampleEnvironment({
      ...chatty,
      switches: { warehouse: true, secondRegion: true, orchestrator: 'kubernetes' },
    });
    const savings = savingsOf(environment, prices);
    expect(savings.length).toBeGreaterThan(3);
    expect(savings).toEqual(savings.toSorted((a, b) => b.savedUsd - a.savedUsd));
    const now = planAt('aws', environment, prices).usdPerMonth;
    // Each as a person would write it into the file.
    const told = savings.flatMap((saving) => {
      const [, part, key, text] = /^(switches|retention)\.(\w+): (\w+)$/.exec(saving.change) ?? [];
      if ((part !== 'switches' && part !== 'retention') || key === undefined) return [];
      const value = text === 'false' ? false : part === 'retention' ? Number(text) : text;
      const then = sampleEnvironment({ ...environment, [part]: { ...environment[part], [key]: value } });
      return [{ ...saving, expected: planAt('aws', then, prices).usdPerMonth }];
    });
    expect(told.map(({ change }) => change)).toEqual(
      expect.arrayContaining([
        'switches.secondRegion: false',
        'switches.orchestrator: containers',
        expect.stringMatching(/^retention\.readingsDays: /),
      ]),
    );
    for (const { usdPerMonth, savedUsd, expected } of told) {
      expect(usdPerMonth).toBeCloseTo(expected, 9);
      expect(savedUsd).toBeCloseTo(now - expected, 9);
    }
  });
});

describe('the document of decisions', () => {
  const sectionOf = (site: string, date: string) => decisionSection(decided({ site }), [], prices, date);

  it('gives back what was written of each site', () => {
    const document = withSection(
      withSection('# Decisions\n', 'akron', sectionOf('akron', '2026-11-22')),
      'gent',
      sectionOf('gent', '2026-12-01'),
    );
    expect(recordedDecisions(document)).toEqual([
      { site: 'akron', provider: decided({}).choice, date: '2026-11-22', section: sectionOf('akron', '2026-11-22') },
      { site: 'gent', provider: decided({}).choice, date: '2026-12-01', section: sectionOf('gent', '2026-12-01') },
    ]);
  });

  it('keeps what somebody wrote on several lines in one row, even what looks like a heading', () => {
    const reason = 'It speaks for itself:\n## second\n| provider | ibm |\nand nothing against it.\n';
    const section = decisionSection(decided({ site: 'akron' }, { reason }), [], prices, '2026-11-22');
    expect(section).toContain(
      '| reason | It speaks for itself: ## second \\| provider \\| ibm \\| and nothing against it. |\n',
    );
    const document = withSection('# Decisions\n', 'akron', section);
    expect(recordedDecisions(document).map(({ site }) => site)).toEqual(['akron']);
    expect(withSection(document, 'akron', section)).toBe(document);
  });

  it('says how large each part is, of which region and month the prices are, and what is not in them', () => {
    const section = decisionSection(
      decided({ regions: [{ aws: 'us-east-2', azure: 'eastus', gcp: 'us-central1' }] }),
      [],
      prices,
      '2026-11-22',
    );
    expect(section).toContain('| event stream | 8 shards | 1 throughput unit | - |');
    expect(section).toContain('| services | 4.5 vCPU, 9 GB | 4.5 vCPU, 9 GB | 6 vCPU, 9 GB |');
    expect(section).toContain('| prices of | us-east-1, not us-east-2 | eastus | us-central1 |');
    expect(section).toContain('| prices as of | 2026-11 | 2026-11 | 2026-11 |');
    expect(section).toMatch(/^Not in it: .*backups of the database/m);
  });

  it('says what is in each region after the first', () => {
    const regions = [
      { aws: 'us-east-1', azure: 'eastus', gcp: 'us-central1' },
      { aws: 'us-west-2', azure: 'westus3', gcp: 'us-west1' },
      { provider: 'azure', azure: 'westus2', aiApi: 'https://ai.west.example' },
      { aws: 'us-west-1', azure: 'centralus', gcp: 'us-west2' },
    ];
    const section = decisionSection(decided({ regions, switches: { secondRegion: true } }), [], prices, '2026-11-22');
    expect(section).toContain(
      '| after the first | regions[1] a copy of the data, regions[2] services and no copy of the data, regions[3] nothing |',
    );
    expect(section).toContain('| prices of | us-east-1 and eastus, not westus2 | eastus, not westus2 |');
  });

  it('says which regions are priced as if they answered while no stack makes what would, and how much that is', () => {
    const west = { aws: 'us-west-2', azure: 'westus3', gcp: 'us-west1', aiApi: 'https://ai.west.example' };
    const regions = [
      { aws: 'us-east-1', azure: 'eastus', gcp: 'us-central1' },
      west,
      { provider: 'azure', azure: 'westus2', aiApi: 'https://ai.azure.example' },
    ];
    const decision = decided({ regions });
    const alone = decided({ regions: regions.slice(0, 1) });
    const section = decisionSection(decision, [], prices, '2026-11-22');
    expect(section).toMatch(/^Priced, and made by no stack: what would answer in regions\[1\] and regions\[2\], /m);
    const more = CLOUDS.map((cloud) => {
      const usd = (each: typeof decision) => candidateOf(each.candidates, cloud).plan.usdPerMonth;
      return (usd(decision) - usd(alone)).toFixed(2);
    });
    expect(section).toContain(`| of it made by no stack | ${more.join(' | ')} |`);
    expect(decisionSection(alone, [], prices, '2026-11-22')).not.toContain('made by no stack');
  });

  it('does not say so of a region that has a copy of the data alone, which is made', () => {
    const regions = [
      { aws: 'us-east-1', azure: 'eastus', gcp: 'us-central1' },
      { aws: 'us-west-2', azure: 'westus3', gcp: 'us-west1' },
    ];
    const section = decisionSection(decided({ regions, switches: { secondRegion: true } }), [], prices, '2026-11-22');
    expect(section).not.toContain('made by no stack');
  });

  it('compares no price where one cloud alone is possible', () => {
    const section = decisionSection(decided(NORWAY), [], prices, '2026-11-22');
    expect(section).toContain('| cost | 1 | - | - | - |');
    expect(section).toContain('| operation | 0 | - | 1.00 | - |');
  });

  it('has a section replaced where it stood, and everything else left alone', () => {
    const before = withSection(
      withSection('# Decisions\n\nOf sites.\n', 'akron', sectionOf('akron', '2026-11-22')),
      'gent',
      sectionOf('gent', '2026-11-22'),
    );
    const after = withSection(before, 'akron', sectionOf('akron', '2026-11-23'));
    expect(after).toBe(before.replace('| date | 2026-11-22 |', '| date | 2026-11-23 |'));
    expect(withSection(after, 'akron', sectionOf('akron', '2026-11-23'))).toBe(after);
  });
});
