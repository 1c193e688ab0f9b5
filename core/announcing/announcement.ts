import type { DeviceId, MachineKey } from '../domain/ids.ts';
import type { HealthVerdict, PredictionBody } from '../inference/prediction.ts';

/** One thing to tell. */
export interface Announcement {
  /** Stable: the id of the message, with which a receiver drops what it has seen. */
  readonly id: string;
  /** What it is about, unique over kinds and tenants. */
  readonly subject: string;
  /** Whose it is: the dead letter of a message is the tenant's. */
  readonly machine: MachineKey;
  readonly notice: Announced;
}

export type Announced = DeviceNotice | PredictionNotice;

/** A device came or went, or a machine behind it. */
export interface DeviceNotice {
  readonly kind: 'device';
  readonly change: 'online' | 'offline';
  readonly device: DeviceId;
  /** Of `status`: the one that it is said of; else all that the device speaks for. At least one. */
  readonly machines: readonly MachineKey[];
  /**
   * How it is known: the device's `connection`; the `status` topic of one machine, while the device stays connected; or that it was connected
   * and did not come back after a `restart` of the platform.
   */
  readonly by: 'connection' | 'status' | 'restart';
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

/** A model's judgement of a sensor is another than it was. */
export interface PredictionNotice {
  readonly kind: 'prediction';
  readonly change: 'made';
  readonly machine: MachineKey;
  readonly sensor: string;
  readonly verdict: HealthVerdict;
  /** What was told before; absent the first time. */
  readonly before?: HealthVerdict;
  /** Id of the prediction document. */
  readonly predictionId: string;
  /** Time of the waveform that was judged, milliseconds since 1970. */
  readonly ts: number;
  /** `<sensor>.anomaly_score` and `<sensor>.health`. */
  readonly values: Readonly<Record<string, number>>;
  readonly model?: PredictionBody['model'];
  readonly threshold?: number;
  readonly contributions?: PredictionBody['contributions'];
  readonly waveformId?: string;
}
