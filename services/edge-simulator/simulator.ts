import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#core/clock.ts';
import { PROFILES } from './profiles.ts';
import type { ProfileName } from './profiles.ts';
import { SimulatedMachine } from './simulated-machine.ts';
import type { MachineSpec } from './machine-spec.ts';
import type { ForwardStats, Log, StoreAndForward } from './transport/store-and-forward.ts';

/** A way to the platform and the machines that use it. */
export interface SimulatedDevice {
  readonly id: string;
  readonly forwarder: StoreAndForward;
  readonly machines: readonly MachineSpec[];
}

export interface SimulatorParts {
  readonly devices: readonly SimulatedDevice[];
  readonly seed: number;
  readonly speed: number;
  readonly profile: ProfileName;
  readonly runId: string;
  /** Where the plant's age is kept, so that a second start goes on where the first stopped. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SimulatorStats {
  readonly devices: Readonly<Record<string, ForwardStats>>;
  readonly machines: Readonly<Record<string, MachineStats>>;
  /** Seconds since the plant was first started, without the times it was stopped. */
  readonly elapsedS: number;
}

interface MachineStats {
  readonly telemetry: number;
  readonly waveforms: number;
  readonly phase: string;
  readonly severity: number;
}

/** How often the plant's age is written down. */
const SAVE_EVERY_MS = 5000;
/** A machine that is this far behind its schedule (the process was suspended) does not make up for it. */
const MAX_BEHIND_PERIODS = 5;

/** Lets the machines run by the clock and hands what they say to their devices. */
export class Simulator {
  readonly #parts: SimulatorParts;
  readonly #runs: MachineRun[];
  readonly #agedBeforeS: number;
  readonly #startedAtMs: number;
  readonly #saving: NodeJS.Timeout;
  readonly #loops: Promise<void>[];
  #stopped: Promise<void> | undefined;

  static async start(parts: SimulatorParts): Promise<Simulator> {
    await mkdir(parts.dataDir, { recursive: true });
    return new Simulator(parts, await readAgeS(parts));
  }

  private constructor(parts: SimulatorParts, agedBeforeS: number) {
    this.#parts = parts;
    this.#agedBeforeS = agedBeforeS;
    this.#startedAtMs = parts.clock.monotonicMs();
    const { telemetryPeriodMs, waveformPoints } = PROFILES[parts.profile];
    const pairs = parts.devices.flatMap((device) => device.machines.map((spec) => ({ device, spec })));
    this.#runs = pairs.map(({ device, spec }, index) => ({
      machine: new SimulatedMachine(spec, { seed: parts.seed, runId: parts.runId, speed: parts.speed, waveformPoints }),
      forwarder: device.forwarder,
      // The machines' readings are spread over the period, as those of a real plant are.
      offsetMs: (index * telemetryPeriodMs) / pairs.length,
      telemetry: 0,
      waveforms: 0,
      wake: () => undefined,
    }));
    for (const { forwarder } of parts.devices) forwarder.start();
    this.#loops = this.#runs.map((run) => this.#loop(run));
    this.#saving = setInterval(() => void this.#saveAge(), SAVE_EVERY_MS);
  }

  stats(): SimulatorStats {
    const elapsedS = this.#elapsedS();
    return {
      devices: Object.fromEntries(this.#parts.devices.map(({ id, forwarder }) => [id, forwarder.stats])),
      machines: Object.fromEntries(
        this.#runs.map(({ machine, telemetry, waveforms }) => [
          machine.id,
          { telemetry, waveforms, ...machine.life(elapsedS) },
        ]),
      ),
      elapsedS,
    };
  }

  /** Stops machines, then devices; what is not delivered waits in the files for the next start. Within two seconds. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop());
  }

  async #stop(): Promise<void> {
    clearInterval(this.#saving);
    const stopping = this.#saveAge();
    for (const run of this.#runs) run.wake();
    await Promise.all(this.#loops);
    await Promise.all(this.#parts.devices.map(({ forwarder }) => forwarder.stop()));
    await stopping;
  }

  async #loop(run: MachineRun): Promise<void> {
    const { telemetryPeriodMs } = PROFILES[this.#parts.profile];
    let dueMs = this.#startedAtMs + run.offsetMs;
    for (;;) {
      await this.#until(dueMs, run);
      if (this.#stopped) return;
      await this.#tick(run);
      dueMs += telemetryPeriodMs;
      const behindMs = this.#parts.clock.monotonicMs() - dueMs;
      if (behindMs > MAX_BEHIND_PERIODS * telemetryPeriodMs) dueMs += behindMs;
    }
  }

  #until(dueMs: number, run: MachineRun): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, dueMs - this.#parts.clock.monotonicMs()));
      run.wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#stopped) run.wake();
    });
  }

  async #tick(run: MachineRun): Promise<void> {
    const { machine, forwarder } = run;
    const elapsedS = this.#elapsedS();
    const nowMs = Math.round(this.#parts.clock.nowMs());
    const reading = machine.telemetry(run.telemetry, elapsedS, nowMs);
    const gap = forwarder.gapCount(machine.id);
    const message = gap === 0 ? reading : { ...reading, metrics: { ...reading.metrics, gap_count: gap } };
    await forwarder.enqueue({ machine: machine.id, kind: 'telemetry', message });
    if (run.telemetry % PROFILES[this.#parts.profile].readingsPerWaveform === 0) {
      const waveform = machine.waveform(run.waveforms, elapsedS, nowMs);
      await forwarder.enqueue({
        machine: machine.id,
        kind: 'waveform',
        sensor: machine.spec.sensor,
        message: waveform,
      });
      run.waveforms++;
    }
    run.telemetry++;
  }

  #elapsedS(): number {
    return this.#agedBeforeS + (this.#parts.clock.monotonicMs() - this.#startedAtMs) / 1000;
  }

  async #saveAge(): Promise<void> {
    const path = agePath(this.#parts.dataDir);
    try {
      await writeFile(`${path}.new`, JSON.stringify({ seed: this.#parts.seed, elapsedS: this.#elapsedS() }));
      await rename(`${path}.new`, path);
    } catch (error) {
      this.#parts.log.warn({ path, reason: String(error) }, "the plant's age could not be written down");
    }
  }
}

interface MachineRun {
  readonly machine: SimulatedMachine;
  readonly forwarder: StoreAndForward;
  readonly offsetMs: number;
  telemetry: number;
  waveforms: number;
  wake: () => void;
}

function agePath(dataDir: string): string {
  return join(dataDir, 'age.json');
}

/** Age of the plant of this seed; 0 for a new one. */
async function readAgeS({ dataDir, seed }: SimulatorParts): Promise<number> {
  try {
    const saved = JSON.parse(await readFile(agePath(dataDir), 'utf8')) as { seed?: unknown; elapsedS?: unknown };
    return saved.seed === seed && typeof saved.elapsedS === 'number' && saved.elapsedS > 0 ? saved.elapsedS : 0;
  } catch {
    // Absent at the first start; torn by a power cut: the plant is new again.
    return 0;
  }
}
