import { Counter, type Registry } from 'prom-client';
import type { Clock } from '#core/clock.ts';
import { declareGroup } from '#core/delivery/at-start.ts';
import { NOTHING_ASKED, runConsumer } from '#core/delivery/consumer.ts';
import { retry } from '#core/delivery/retry.ts';
import { reasonOf, type DeadLetterSink } from '#core/derivation/dead-letters.ts';
import { publishAll } from '#core/derivation/publish-all.ts';
import { RefreshingCache } from '#core/derivation/refreshing-cache.ts';
import type { MachineEvent, StampedEvent } from '#core/domain/event.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import type { CallOptions } from '#core/errors.ts';
import { judgeMachine, type MachineJudgement, type SkipReason } from '#core/inference/machine-health.ts';
import { PromotedModels } from '#core/inference/promoted-models.ts';
import { proveRuntime } from '#core/inference/prove-runtime.ts';
import type { CheckpointStore } from '#core/ports/checkpoint-store.ts';
import type { EventStream } from '#core/ports/event-stream.ts';
import type { MachineHistoryEvent, MachineRegistry } from '#core/ports/machine-registry.ts';
import type { ModelInference } from '#core/ports/model-inference.ts';
import type { ModelRegistry } from '#core/ports/model-registry.ts';
import type { ReadinessCheck } from '#services/shared/http/readiness.ts';
import type { Logger } from '#services/shared/observability/logger.ts';
import { observedStream } from '#services/shared/observability/observed-stream.ts';
import type { Tracing } from '#services/shared/observability/tracing.ts';
import type { RunningService } from '#services/shared/process/run-service.ts';
import type { MlServiceConfig } from './config.ts';
import { MachineStates } from './machine-states.ts';

/** The group by which features are read to be judged. */
export const ML_GROUP = 'ml';

/** A runtime that is away may come as long as the service runs: behind an endpoint of a cloud the first is brought after the services. */
const PROOF_RETRY = { maxAttempts: Infinity, firstDelayMs: 500, longestDelayMs: 60_000 };

export interface MlServiceDependencies {
  readonly stream: EventStream;
  readonly machines: Pick<MachineRegistry, 'machineEvents' | 'onChange'>;
  readonly registry: ModelRegistry;
  readonly inference: ModelInference;
  readonly checkpoints: Pick<CheckpointStore, 'load' | 'save'>;
  readonly deadLetter: DeadLetterSink;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly tracing?: Pick<Tracing, 'as'>;
}

export interface RunningMlService extends RunningService {
  readonly readiness: Readonly<Record<string, ReadinessCheck>>;
}

/**
 * Judges the features of every sensor: `features` to `inference-results`. Learns a baseline from each sensor's healthy beginning, registers and
 * promotes it as an ONNX model, and scores by whichever version is promoted. Declares its group on `features`; the groups that read
 * `inference-results` must be declared before it starts. Closes neither the runtime nor the stores it was given.
 */
export async function startMlService(
  config: MlServiceConfig,
  dependencies: MlServiceDependencies,
): Promise<RunningMlService> {
  const service = new MlService(config, dependencies);
  return service.start();
}

class MlService {
  readonly #config: MlServiceConfig;
  readonly #dependencies: MlServiceDependencies;
  readonly #models: PromotedModels;
  readonly #states: MachineStates;
  readonly #history: RefreshingCache<MachineKey, readonly MachineHistoryEvent[]>;
  readonly #predictions: Counter<'verdict'>;
  readonly #skipped: Counter<'reason'>;
  #waitingFor: string | undefined;
  #runtimeProblem: string | undefined = 'the model runtime is being loaded';

  constructor(config: MlServiceConfig, dependencies: MlServiceDependencies) {
    const { registry, inference, checkpoints, machines, clock, metrics } = dependencies;
    const { maxLoadedModels, maxCachedMachines, historyMaxAgeMs } = config;
    this.#config = config;
    const { stream, tracing } = dependencies;
    this.#dependencies = {
      ...dependencies,
      stream: observedStream(stream, { metrics, tracing: tracing?.as('ml-service') }),
    };
    this.#models = new PromotedModels(registry, inference, { maxLoaded: maxLoadedModels });
    this.#states = new MachineStates(checkpoints, { maxCached: maxCachedMachines });
    this.#history = new RefreshingCache((key, options) => machines.machineEvents(key, options), clock, {
      maxAgeMs: historyMaxAgeMs,
      maxEntries: maxCachedMachines,
    });
    this.#predictions = new Counter({
      name: 'tribo_predictions_total',
      help: 'Predictions published, by verdict',
      labelNames: ['verdict'],
      registers: [metrics],
    });
    this.#skipped = new Counter({
      name: 'tribo_features_not_judged_total',
      help: 'Features that gave no prediction, by why',
      labelNames: ['reason'],
      registers: [metrics],
    });
  }

  async start(): Promise<RunningMlService> {
    const { stream, machines, deadLetter, logger } = this.#dependencies;
    await declareGroup(stream, 'features', ML_GROUP);
    const unsubscribe = machines.onChange(() => this.#history.clear());
    const subscription = await runConsumer({
      stream,
      streamName: 'features',
      group: ML_GROUP,
      maxBatchEvents: this.#config.maxBatchEvents,
      setsForbiddenAside: true,
      process: (events, signal) => this.#process(events, { signal }),
      deadLetter: async (event, error, signal) => {
        logger.error({ err: error, machine: event.key, eventId: event.eventId }, 'features cannot be judged');
        await deadLetter(event, reasonOf(error), { signal });
        this.#skipped.inc({ reason: 'dead-letter' });
      },
      onRetry: (error) => {
        this.#waitingFor = reasonOf(error).detail;
        logger.warn({ err: error }, 'judging waits');
      },
    });
    // Not awaited: it takes a third of a second in which the rest of a platform can start.
    const closing = new AbortController();
    const proof = this.#proveRuntime(closing.signal);
    return {
      readiness: {
        judging: () => this.#waitingFor,
        runtime: () => this.#runtimeProblem,
        models: async () => (await this.#models.problems()).join('; ') || undefined,
      },
      close: async () => {
        unsubscribe();
        await subscription.close();
        closing.abort();
        await proof;
        await this.#models[Symbol.asyncDispose]();
      },
    };
  }

  async #proveRuntime(signal: AbortSignal): Promise<void> {
    const { inference, logger } = this.#dependencies;
    const onRetry = (error: unknown) => {
      this.#runtimeProblem = reasonOf(error).detail;
      logger.error({ err: error }, 'the model runtime does not work');
    };
    try {
      await retry(() => proveRuntime(inference, { signal }), PROOF_RETRY, { signal, onRetry });
      this.#runtimeProblem = undefined;
    } catch {
      // Told with each attempt; or the service closes.
    }
  }

  async #process(events: readonly StampedEvent[], options: CallOptions): Promise<unknown> {
    const publish: MachineEvent[] = [];
    const judgements: (readonly [MachineKey, MachineJudgement])[] = [];
    for (const [key, ofMachine] of Map.groupBy(events, (event) => event.key)) {
      const judgement = await this.#judge(key, ofMachine, options);
      judgements.push([key, judgement]);
      publish.push(...judgement.publish);
      for (const [reason, count] of Object.entries(judgement.skipped) as [SkipReason, number][]) {
        if (count > 0) this.#skipped.inc({ reason }, count);
      }
      await breathe();
    }
    await this.#save(judgements, options);
    await publishAll(this.#dependencies.stream, 'inference-results', publish, options);
    this.#waitingFor = undefined;
    return publish.length > 0 ? undefined : NOTHING_ASKED;
  }

  async #judge(key: MachineKey, events: readonly StampedEvent[], options: CallOptions): Promise<MachineJudgement> {
    const history = await this.#history.get(key, options);
    const known = await this.#states.load(key, options);
    const dependencies = { registry: this.#dependencies.registry, models: this.#models };
    const policy = { ...this.#config, indicator: this.#config.indicatorOf[key] ?? this.#config.indicator };
    return judgeMachine(key, known, events, history, policy, dependencies, options);
  }

  /** All machines at once, so that a store that can writes them together. What was saved before another failed is seen as delivered again. */
  async #save(judgements: readonly (readonly [MachineKey, MachineJudgement])[], options: CallOptions): Promise<void> {
    const changed = judgements.filter(([, { isChanged }]) => isChanged);
    const saved = await Promise.allSettled(changed.map(([key, { state }]) => this.#states.save(key, state, options)));
    saved.forEach((result, index) => {
      if (result.status === 'rejected') return;
      for (const { document } of changed[index]![1].state.outbox) {
        this.#predictions.inc({ verdict: verdictOf(document.body) });
      }
    });
    const failed = saved.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

function verdictOf(body: unknown): string {
  return (body as { readonly verdict: string }).verdict;
}

/** Lets the event loop serve others between two machines. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
