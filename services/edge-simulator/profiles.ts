export interface Profile {
  readonly telemetryPeriodMs: number;
  /** A waveform comes with each so many readings. */
  readonly readingsPerWaveform: number;
  readonly waveformPoints: number;
}

/** How much a simulated plant says. */
export const PROFILES = {
  /** For eyes: readings each second, a waveform each three. */
  demo: { telemetryPeriodMs: 1000, readingsPerWaveform: 3, waveformPoints: 8192 },
  /** For development against a cloud that bills by the message: a sixtieth of the bytes. */
  'low-rate': { telemetryPeriodMs: 10_000, readingsPerWaveform: 12, waveformPoints: 4096 },
} as const satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;
