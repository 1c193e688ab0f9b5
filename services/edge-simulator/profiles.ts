export interface Profile {
  readonly telemetryPeriodMs: number;
  /** A waveform comes with each so many readings. */
  readonly readingsPerWaveform: number;
  readonly waveformPoints: number;
}

/** How much a simulated plant says. */
export const PROFILES = {
  /** For eyes: readings each second, a waveform of 0.64 s each three (ISO 20816-3's band takes 0.4 s to resolve). */
  demo: { telemetryPeriodMs: 1000, readingsPerWaveform: 3, waveformPoints: 16_384 },
  /** For development against a cloud that bills by the message: a fortieth of the bytes. */
  'low-rate': { telemetryPeriodMs: 10_000, readingsPerWaveform: 12, waveformPoints: 12_800 },
} as const satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;
