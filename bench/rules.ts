import { RuleEngine } from '#core/alerting/rule-engine.ts';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { ruleSchema, type RuleDescription, type VersionedRule } from '#core/domain/rule.ts';

export interface RulesBenchResult {
  readonly machines: number;
  readonly metricsPerMessage: number;
  readonly rulesPerMachine: number;
  readonly readings: number;
  readonly nsPerReading: number;
  readonly readingsPerSecond: number;
  /** Activations and returns that the run decided. */
  readonly transitions: number;
}

const tenant = 'bench' as TenantId;
const METRICS = ['velocity_rms', 'temperature', 'current', 'rpm', 'pressure', 'flow', 'torque', 'oil', 'noise', 'load'];

/** A threshold on each of half the metrics, silence of the machine and of each metric: more than the defaults ask of telemetry. */
function rules(): VersionedRule[] {
  const thresholds = METRICS.slice(0, 5).map((metric): RuleDescription => ({
    kind: 'threshold',
    id: `${metric}-high`,
    text: `${metric} high`,
    metric,
    direction: 'above',
    limit: 99,
    deadband: 2,
    onDelayMs: 2000,
  }));
  const silence: RuleDescription = { kind: 'missing-data', id: 'silent', text: 'silent', afterMs: 60_000 };
  const everyMetric: RuleDescription = { ...silence, id: 'missing', metric: '*', afterMs: 900_000 };
  return [...thresholds, silence, everyMetric].map((description) => ({
    tenant,
    rule: ruleSchema.parse(description),
    version: 1,
    updatedAtMs: 0,
    updatedBy: 'bench',
  }));
}

/** Times the judging of parsed messages: one machine in a hundred oscillates around its limits, the others are quiet. */
export function runRulesBench({ machines = 200, readings = 2_000_000 } = {}): RulesBenchResult {
  let transitions = 0;
  const engine = new RuleEngine({ latenessMs: 10_000 }, () => {
    transitions++;
  });
  engine.setRules(rules());
  const keys = Array.from({ length: machines }, (_unused, i) =>
    machineKey(tenant, 'site' as SiteId, `machine-${i}` as MachineId),
  );
  // Parsed messages as they come from the stream: objects of one shape with other values.
  const quiet = Array.from({ length: 16 }, (_unused, i) =>
    JSON.stringify(Object.fromEntries(METRICS.map((metric, m) => [metric, 50 + ((i * 7 + m * 3) % 20)]))),
  ).map((text) => JSON.parse(text) as Record<string, number>);
  const loud = { ...quiet[0]!, temperature: 120 };
  const rounds = Math.ceil(readings / (machines * METRICS.length));
  const run = (fromRound: number, toRound: number): void => {
    for (let round = fromRound; round < toRound; round++) {
      const ts = 1_000_000 + round * 1000;
      for (let i = 0; i < machines; i++) {
        const isLoud = i % 100 === 0 && round % 20 < 10;
        engine.observe({ key: keys[i]!, acceptedAtMs: ts }, { ts, metrics: isLoud ? loud : quiet[(round + i) & 15]! });
      }
      engine.tick(1000);
    }
  };
  const warmUp = Math.ceil(rounds / 10);
  run(0, warmUp);
  transitions = 0;
  const startedMs = performance.now();
  run(warmUp, warmUp + rounds);
  const elapsedMs = performance.now() - startedMs;
  const judged = rounds * machines * METRICS.length;
  return {
    machines,
    metricsPerMessage: METRICS.length,
    rulesPerMachine: 7,
    readings: judged,
    nsPerReading: (elapsedMs * 1e6) / judged,
    readingsPerSecond: judged / (elapsedMs / 1000),
    transitions,
  };
}

if (import.meta.main) {
  const runs = [runRulesBench(), runRulesBench({ machines: 20_000, readings: 4_000_000 })];
  process.stdout.write(`${JSON.stringify(runs, undefined, 2)}\n`);
}
