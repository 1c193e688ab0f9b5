import { CLOUDS, CLOUD_NAMES, type Cloud } from './cloud.ts';
import type { DecisionInput, Environment } from './environment.ts';
import { scaled, type Scale } from './demand.ts';
import { regionsAt } from './environment-rules.ts';
import { notMadeAt } from './not-made.ts';
import type { Plan } from './plan.ts';
import { planAt } from './plan-at.ts';
import type { Prices } from './prices.ts';
import { REGIONS, regionNamed, staysWithin } from './regions.ts';

/** What clouds are compared by. */
export const CRITERIA = ['cost', 'operation', 'identity', 'experience'] as const;
export type Criterion = (typeof CRITERIA)[number];

/** How a score comes about, for whoever reads it. */
export const CRITERION_MEANING: Readonly<Record<Criterion, string>> = {
  cost: 'the lowest monthly price, divided by that of the cloud',
  operation: '1, halved for each part that the site has to run itself',
  identity: '1 where people are in its directory already, else 0.5: any OpenID provider is taken everywhere',
  experience: 'what those who will run it know, of 5',
};

/** A cloud as a site sees it. */
export interface Candidate {
  readonly cloud: Cloud;
  readonly plan: Plan;
  /** Why the site cannot be there, whatever it costs. */
  readonly obstacles: readonly string[];
  /** From 0 to 1, by criterion. */
  readonly scores: Readonly<Record<Criterion, number>>;
  /** By the weights, from 0 to 1; 0 where it cannot be there. */
  readonly score: number;
}

/** What is computed of a site. */
export interface Decision {
  readonly environment: Environment;
  readonly input: DecisionInput;
  readonly candidates: readonly Candidate[];
  /** Of the highest score; of equal ones the cheapest. Undefined where no cloud will do. */
  readonly choice: Cloud | undefined;
  readonly sensitivity: readonly Sensitivity[];
  /** What would lead to another choice, in sentences. */
  readonly changes: readonly string[];
}

/** The price by cloud at another load than today's, and which cloud it would lead to. */
export interface Sensitivity {
  readonly name: string;
  readonly usdPerMonth: Readonly<Record<Cloud, number>>;
  readonly usdPerThousandReadings: Readonly<Record<Cloud, number>>;
  readonly choice: Cloud | undefined;
  /** Why today's choice does not do then, where it does not. */
  readonly obstacles: readonly string[];
}

/** Loads that a decision is looked at under. */
const SCALES = [
  { name: 'today', growth: 1, batching: 1 },
  { name: '2 times the machines', growth: 2, batching: 1 },
  { name: '5 times the machines', growth: 5, batching: 1 },
  { name: '10 times the machines', growth: 10, batching: 1 },
  { name: '4 messages sent as one', growth: 1, batching: 4 },
] as const;

/** Sizes, prices and weighs a site at each cloud. Pure: the same environment and prices give the same decision. */
export function decide(environment: Environment, input: DecisionInput, prices: Prices): Decision {
  const candidates = candidatesOf(environment, input, prices, {});
  const choice = bestOf(candidates);
  const sensitivity = SCALES.map(({ name, ...scale }) => {
    const then = candidatesOf(environment, input, prices, scale);
    const by = (of: (plan: Plan) => number) => byCloud((cloud) => of(candidateOf(then, cloud).plan));
    return {
      name,
      usdPerMonth: by((plan) => plan.usdPerMonth),
      usdPerThousandReadings: by((plan) => plan.usdPerThousandReadings),
      choice: bestOf(then),
      obstacles: choice === undefined ? [] : candidateOf(then, choice).obstacles,
    };
  });
  const decision = { environment, input, candidates, choice, sensitivity };
  return { ...decision, changes: changesOf(decision) };
}

/** The candidate of a cloud. */
export function candidateOf(candidates: readonly Candidate[], cloud: Cloud): Candidate {
  return candidates.find((candidate) => candidate.cloud === cloud)!;
}

function candidatesOf(
  environment: Environment,
  input: DecisionInput,
  prices: Prices,
  scale: Scale,
): readonly Candidate[] {
  const then = { ...environment, workload: scaled(environment.workload, scale) };
  const plans = CLOUDS.map((cloud) => {
    const plan = planAt(cloud, environment, prices, scale);
    const obstacles = [...placeObstacles(environment, cloud), ...notMadeObstacles(then, cloud), ...plan.obstacles];
    return { cloud, plan, obstacles };
  });
  const possible = plans.filter(({ obstacles }) => obstacles.length === 0);
  const lowestUsd = Math.min(...(possible.length > 0 ? possible : plans).map(({ plan }) => plan.usdPerMonth));
  return plans.map(({ cloud, plan, obstacles }) => {
    const scores: Record<Criterion, number> = {
      cost: Math.min(1, lowestUsd / plan.usdPerMonth),
      operation: 0.5 ** plan.selfRun.length,
      identity: input.identity === cloud ? 1 : 0.5,
      experience: input.experience[cloud] / 5,
    };
    return { cloud, plan, obstacles, scores, score: obstacles.length > 0 ? 0 : weighed(scores, input.weights) };
  });
}

/** Regions in which the site's data may be, and their zones. */
function placeObstacles(environment: Environment, cloud: Cloud): readonly string[] {
  const { residency, switches } = environment;
  const within = REGIONS[cloud].filter(({ country }) => staysWithin(country, residency));
  if (within.length === 0) return [`${CLOUD_NAMES[cloud]} has no region in ${residency.join(', ')}`];
  if (switches.multiAz && !within.some(({ hasZones }) => hasZones))
    return [`${CLOUD_NAMES[cloud]} has no region with zones in ${residency.join(', ')}`];
  // Of each entry, as the file is refused without: environment-rules.ts.
  return regionsAt(environment, cloud).flatMap(({ cloud: own, name }, index) => {
    if (name === undefined) return [`regions[${index}] names no region of ${CLOUD_NAMES[own]}`];
    const region = regionNamed(own, name);
    return region && staysWithin(region.country, residency) ? [] : [`${name} is not within ${residency.join(', ')}`];
  });
}

/** What the stacks of the cloud do not make: the site could be decided for it, and not be there. */
function notMadeObstacles(environment: Environment, cloud: Cloud): readonly string[] {
  return notMadeAt(cloud, environment).map(({ what }) => `${what} is not made at ${CLOUD_NAMES[cloud]} yet`);
}

function weighed(scores: Readonly<Record<Criterion, number>>, weights: DecisionInput['weights']): number {
  const total = CRITERIA.reduce((sum, criterion) => sum + weights[criterion], 0);
  return CRITERIA.reduce((sum, criterion) => sum + scores[criterion] * weights[criterion], 0) / total;
}

function bestOf(candidates: readonly Candidate[]): Cloud | undefined {
  const possible = candidates.filter(({ obstacles }) => obstacles.length === 0);
  const [best] = possible.toSorted((a, b) => b.score - a.score || a.plan.usdPerMonth - b.plan.usdPerMonth);
  return best?.cloud;
}

function changesOf(decision: Omit<Decision, 'changes'>): readonly string[] {
  const { choice, candidates, sensitivity } = decision;
  if (choice === undefined) return ['a region of a cloud within the residency, or a load that a cloud takes'];
  const others = candidates.filter(({ cloud, obstacles }) => cloud !== choice && obstacles.length === 0);
  const impossible = candidates.filter(({ obstacles }) => obstacles.length > 0);
  return [
    ...impossible.map(({ obstacles }) => `${obstacles.join('; ')}: were that not so, it would be weighed again`),
    ...others.flatMap(({ cloud }) => priceChange(decision, choice, cloud)),
    ...sensitivity
      .filter((each) => each.choice !== choice)
      .map(({ name, choice: then, obstacles }) => {
        const why = obstacles.length > 0 ? ` (${obstacles.join('; ')})` : '';
        return `${name}: ${then === undefined ? 'no cloud takes it' : CLOUD_NAMES[then]}${why}`;
      }),
    ...weightChanges(decision, choice),
  ];
}

/** The price of the choice from which on another would be preferred, where there is one. */
function priceChange({ candidates, input }: Omit<Decision, 'changes'>, choice: Cloud, other: Cloud): readonly string[] {
  const chosen = candidateOf(candidates, choice);
  const rival = candidateOf(candidates, other);
  const isAhead = (factor: number) => {
    const usd = chosen.plan.usdPerMonth * factor;
    const lowest = Math.min(
      usd,
      ...candidates
        .filter((each) => each.cloud !== choice && each.obstacles.length === 0)
        .map((each) => each.plan.usdPerMonth),
    );
    const score = (candidate: Candidate, at: number) =>
      weighed({ ...candidate.scores, cost: Math.min(1, lowest / at) }, input.weights);
    return score(chosen, usd) >= score(rival, rival.plan.usdPerMonth);
  };
  const MOST = 10;
  if (isAhead(MOST)) return [];
  let [low, high] = [1, MOST];
  for (let round = 0; round < 40; round++) {
    const middle = (low + high) / 2;
    if (isAhead(middle)) low = middle;
    else high = middle;
  }
  const percent = Math.ceil((high - 1) * 100);
  return [`${CLOUD_NAMES[choice]} dearer by ${percent} % while the others stay: ${CLOUD_NAMES[other]}`];
}

/** Criteria without which the choice would be another. */
function weightChanges({ candidates, input }: Omit<Decision, 'changes'>, choice: Cloud): readonly string[] {
  return CRITERIA.flatMap((criterion) => {
    const weights = { ...input.weights, [criterion]: 0 };
    if (input.weights[criterion] === 0 || CRITERIA.every((each) => weights[each] === 0)) return [];
    const then = bestOf(
      candidates.map((each) => ({ ...each, score: each.obstacles.length > 0 ? 0 : weighed(each.scores, weights) })),
    );
    return then === undefined || then === choice ? [] : [`no weight on ${criterion}: ${CLOUD_NAMES[then]}`];
  });
}

function byCloud(of: (cloud: Cloud) => number): Readonly<Record<Cloud, number>> {
  return { aws: of('aws'), azure: of('azure'), gcp: of('gcp') };
}
