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

/** Why an environment must not be provisioned at its cloud: what it costs above its budget or the bound of readings. Empty where it may. */
export function boundProblems(environment: Environment, prices: Prices): readonly BoundProblem[] {
  const { budget, provider, stage } = environment;
  const plan = planAt(provider, environment, prices);
  const advice = () => adviceFor(environment, plan, prices);
  const problems: BoundProblem[] = [];
  if (plan.usdPerMonth > budget.usdPerMonth)
    problems.push({
      at: ['budget', 'usdPerMonth'],
      problem: `is $${budget.usdPerMonth}, and the plan costs $${plan.usdPerMonth.toFixed(2)} a month: ${advice()}`,
    });
  if (stage !== 'dev' && plan.usdPerThousandReadings > MAX_USD_PER_THOUSAND_READINGS)
    problems.push({
      at: [],
      problem: `1,000 readings cost $${plan.usdPerThousandReadings.toFixed(4)}, above $${MAX_USD_PER_THOUSAND_READINGS}: ${advice()}`,
    });
  return problems;
}

/** What would make an environment cheaper, the largest saving first; changes that save nothing are left out. */
export function savingsOf(environment: Environment, prices: Prices): readonly Saving[] {
  const now = planAt(environment.provider, environment, prices);
  return changesOf(environment)
    .map(({ change, then }) => {
      const plan = planAt(environment.provider, then, prices);
      const shrunk = (part: Part) => now.usdByPart[part] - plan.usdByPart[part];
      const part = PARTS.toSorted((a, b) => shrunk(b) - shrunk(a))[0]!;
      return { change, part, usdPerMonth: plan.usdPerMonth, savedUsd: now.usdPerMonth - plan.usdPerMonth };
    })
    .filter(({ savedUsd }) => savedUsd >= 0.01)
    .toSorted((a, b) => b.savedUsd - a.savedUsd);
}

function adviceFor(environment: Environment, plan: Plan, prices: Prices): string {
  const largest = PARTS.toSorted((a, b) => plan.usdByPart[b] - plan.usdByPart[a])[0]!;
  const named = `most of it is ${largest}, $${plan.usdByPart[largest].toFixed(2)}`;
  const [best] = savingsOf(environment, prices);
  if (!best) return `${named}; nothing in the file makes it cheaper: raise the budget`;
  return `${named}; shrink ${best.part} first: ${best.change} saves $${best.savedUsd.toFixed(2)}`;
}

const BATCHING = 4;
const SHORTEST_STREAM_HOURS = 24;
/** Larger messages are refused by a gateway. */
const MAX_BATCH_BYTES = 64_000;

function changesOf(environment: Environment): readonly { readonly change: string; readonly then: Environment }[] {
  const { workload, retention, switches, sizes, availabilityPercent } = environment;
  const changes: { change: string; then: Environment }[] = [];
  const half = (days: number) => Math.ceil(days / 2);
  const add = (change: string, part: Partial<Environment>) =>
    changes.push({ change, then: { ...environment, ...part } });
  const intervalS = workload.messageIntervalS * BATCHING;
  const bytesPerMessage = workload.bytesPerMessage * BATCHING;
  if (bytesPerMessage <= MAX_BATCH_BYTES)
    add(`${BATCHING} messages sent as one (workload.messageIntervalS: ${intervalS})`, {
      workload: {
        ...workload,
        messageIntervalS: intervalS,
        readingsPerMessage: workload.readingsPerMessage * BATCHING,
        bytesPerMessage,
      },
    });
  const readingsDays = half(retention.readingsDays);
  add(`retention.readingsDays: ${readingsDays}`, { retention: { ...retention, readingsDays } });
  if (retention.streamHours > SHORTEST_STREAM_HOURS)
    add(`retention.streamHours: ${SHORTEST_STREAM_HOURS}`, {
      retention: { ...retention, streamHours: SHORTEST_STREAM_HOURS },
    });
  if (workload.waveforms) {
    const waveformsDays = half(retention.waveformsDays);
    add(`retention.waveformsDays: ${waveformsDays}`, { retention: { ...retention, waveformsDays } });
    const perMachinePerDay = workload.waveforms.perMachinePerDay / 2;
    add(`workload.waveforms.perMachinePerDay: ${perMachinePerDay}`, {
      workload: { ...workload, waveforms: { ...workload.waveforms, perMachinePerDay } },
    });
  }
  if (sizes !== 'small' && !switches.multiAz) add('sizes: small', { sizes: 'small' });
  if (sizes === 'large') add('sizes: standard', { sizes: 'standard' });
  const without = (key: 'secondRegion' | 'rawArchive' | 'warehouse') => {
    if (switches[key]) add(`switches.${key}: false`, { switches: { ...switches, [key]: false } });
  };
  without('secondRegion');
  without('rawArchive');
  without('warehouse');
  // Where availability asks for zones they are no choice.
  if (switches.multiAz && availabilityPercent < 99.9)
    add('switches.multiAz: false', { switches: { ...switches, multiAz: false } });
  if (switches.orchestrator === 'kubernetes')
    add('switches.orchestrator: containers', { switches: { ...switches, orchestrator: 'containers' } });
  if (switches.eventStream === 'kafka')
    add('switches.eventStream: native', { switches: { ...switches, eventStream: 'native' } });
  return changes;
}
