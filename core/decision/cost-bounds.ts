import { CLOUD_NAMES } from './cloud.ts';
import type { Environment } from './environment.ts';
import { PARTS, type Part, type Plan } from './plan.ts';
import { planAt } from './plan-at.ts';
import type { Prices } from './prices.ts';

/** Of accepted readings; where machines are simulated (dev), what is fixed has few of them, and the budget alone is the bound. */
export const MAX_USD_PER_THOUSAND_READINGS = 0.01;

/** Something that an environment may have less of, and what it would cost then. */
export interface Saving {
  /** What to change, by its key in the file: `retention.readingsDays: 15`. */
  readonly change: string;
  /** The part of the bill that shrinks most by it. */
  readonly part: Part;
  readonly usdPerMonth: number;
  readonly savedUsd: number;
}

/** A bound that a plan does not keep. */
export interface BoundProblem {
  /** Keys that lead to the bound in the environment's file; none for the bound of every site. */
  readonly at: readonly string[];
  /** What is too dear, which part of the bill is the largest, and what to shrink. */
  readonly problem: string;
}

/** Why an environment must not be provisioned at its cloud: what does not fit there, and what it costs above its budget or the bound of readings. Empty where it may. */
export function boundProblems(environment: Environment, prices: Prices): readonly BoundProblem[] {
  const { budget, provider, stage } = environment;
  const plan = planAt(provider, environment, prices);
  const problems: BoundProblem[] = plan.obstacles.map((obstacle) => ({
    at: ['workload'],
    problem: `does not fit ${CLOUD_NAMES[provider]}: ${obstacle}`,
  }));
  if (plan.usdPerMonth > budget.usdPerMonth)
    problems.push({
      at: ['budget', 'usdPerMonth'],
      problem: `is $${budget.usdPerMonth}, and the plan costs $${plan.usdPerMonth.toFixed(2)} a month: ${adviceFor(environment, plan, prices, budget.usdPerMonth)}`,
    });
  if (stage !== 'dev' && plan.usdPerThousandReadings > MAX_USD_PER_THOUSAND_READINGS) {
    const boundUsd = (MAX_USD_PER_THOUSAND_READINGS * plan.usdPerMonth) / plan.usdPerThousandReadings;
    problems.push({
      at: [],
      problem: `1,000 readings cost $${plan.usdPerThousandReadings.toFixed(4)}, above $${MAX_USD_PER_THOUSAND_READINGS}: ${adviceFor(environment, plan, prices, boundUsd)}`,
    });
  }
  return problems;
}

/** What would make an environment cheaper, the largest saving first; changes that save nothing are left out. */
export function savingsOf(environment: Environment, prices: Prices): readonly Saving[] {
  return savingChanges(environment, prices).map(({ saving }) => saving);
}

function savingChanges(
  environment: Environment,
  prices: Prices,
): readonly { readonly saving: Saving; readonly to: Change['to'] }[] {
  const now = planAt(environment.provider, environment, prices);
  return changesOf(environment)
    .map(({ change, to }) => {
      const plan = planAt(environment.provider, to(environment), prices);
      const shrunk = (part: Part) => now.usdByPart[part] - plan.usdByPart[part];
      const part = PARTS.toSorted((a, b) => shrunk(b) - shrunk(a))[0]!;
      const saving = { change, part, usdPerMonth: plan.usdPerMonth, savedUsd: now.usdPerMonth - plan.usdPerMonth };
      return { saving, to };
    })
    .filter(({ saving }) => saving.savedUsd >= 0.01)
    .toSorted((a, b) => b.saving.savedUsd - a.saving.savedUsd);
}

function adviceFor(environment: Environment, plan: Plan, prices: Prices, boundUsd: number): string {
  const largest = PARTS.toSorted((a, b) => plan.usdByPart[b] - plan.usdByPart[a])[0]!;
  const named = `most of it is ${largest}, $${plan.usdByPart[largest].toFixed(2)}`;
  const savings = savingChanges(environment, prices);
  const best = savings[0]?.saving;
  if (!best) return `${named}; nothing in the file makes it cheaper: raise the budget`;
  const shrink = `${named}; shrink ${best.part} first: ${best.change} saves $${best.savedUsd.toFixed(2)}`;
  const changed = savings.reduce((then, { to }) => to(then), environment);
  const { usdPerMonth } = planAt(environment.provider, changed, prices);
  return usdPerMonth <= boundUsd
    ? shrink
    : `${shrink}; all ${savings.length} savings that the file allows leave $${usdPerMonth.toFixed(2)}, above $${boundUsd.toFixed(2)}: no saving is enough`;
}

const BATCHING = 4;
const SHORTEST_STREAM_HOURS = 24;
/** Larger messages are refused by a gateway. */
const MAX_BATCH_BYTES = 64_000;

interface Change {
  readonly change: string;
  readonly to: (environment: Environment) => Environment;
}

function changesOf({
  workload,
  retention,
  switches,
  sizes,
  regions,
  availabilityPercent,
}: Environment): readonly Change[] {
  const changes: Change[] = [];
  const half = (days: number) => Math.ceil(days / 2);
  const inWorkload = (change: string, part: Partial<Environment['workload']>) =>
    changes.push({ change, to: (then) => ({ ...then, workload: { ...then.workload, ...part } }) });
  const inRetention = (part: Partial<Environment['retention']>) => {
    const change = Object.entries(part).map(([key, value]) => `retention.${key}: ${value}`);
    changes.push({ change: change.join(), to: (then) => ({ ...then, retention: { ...then.retention, ...part } }) });
  };
  const inSwitches = (part: Partial<Environment['switches']>) => {
    const change = Object.entries(part).map(([key, value]) => `switches.${key}: ${value}`);
    changes.push({ change: change.join(), to: (then) => ({ ...then, switches: { ...then.switches, ...part } }) });
  };
  const withSizes = (smaller: Environment['sizes']) =>
    changes.push({ change: `sizes: ${smaller}`, to: (then) => ({ ...then, sizes: smaller }) });
  const messageIntervalS = workload.messageIntervalS * BATCHING;
  const bytesPerMessage = workload.bytesPerMessage * BATCHING;
  if (bytesPerMessage <= MAX_BATCH_BYTES)
    inWorkload(`${BATCHING} messages sent as one (workload.messageIntervalS: ${messageIntervalS})`, {
      messageIntervalS,
      readingsPerMessage: workload.readingsPerMessage * BATCHING,
      bytesPerMessage,
    });
  inRetention({ readingsDays: half(retention.readingsDays) });
  if (retention.streamHours > SHORTEST_STREAM_HOURS) inRetention({ streamHours: SHORTEST_STREAM_HOURS });
  if (workload.waveforms) {
    inRetention({ waveformsDays: half(retention.waveformsDays) });
    const perMachinePerDay = workload.waveforms.perMachinePerDay / 2;
    inWorkload(`workload.waveforms.perMachinePerDay: ${perMachinePerDay}`, {
      waveforms: { ...workload.waveforms, perMachinePerDay },
    });
  }
  if (sizes === 'large') withSizes('standard');
  if (sizes !== 'small' && !switches.multiAz) withSizes('small');
  if (switches.secondRegion) inSwitches({ secondRegion: false });
  if (switches.rawArchive) inSwitches({ rawArchive: false });
  if (switches.warehouse) inSwitches({ warehouse: false });
  if (switches.modelEndpoint === 'instance') inSwitches({ modelEndpoint: 'none' });
  // Where availability asks for zones they are no choice.
  if (switches.multiAz && availabilityPercent < 99.9) inSwitches({ multiAz: false });
  if (switches.orchestrator === 'kubernetes') inSwitches({ orchestrator: 'containers' });
  if (switches.eventStream === 'kafka') inSwitches({ eventStream: 'native' });
  for (const [index, { controlApi, aiApi }] of regions.entries())
    if (index > 0 && (controlApi ?? aiApi) !== undefined)
      changes.push({
        change: `regions[${index}] without controlApi and aiApi`,
        to: (then) => ({
          ...then,
          regions: then.regions.map((region, at) =>
            at === index ? { ...region, controlApi: undefined, aiApi: undefined } : region,
          ),
        }),
      });
  return changes;
}
