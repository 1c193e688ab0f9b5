import { decodeSamples } from '#core/domain/waveform.ts';
import { featureMachine } from '#core/features/feature-machine.ts';
import type { FeaturesBody } from '#core/features/featurise.ts';
import { amplitudeSpectrum, envelopeSpectrum, type Spectrum } from '#core/features/waveform-features.ts';
import type { WaveformInput } from '#core/features/waveform.ts';
import type { RegisteredMachine } from '#core/ports/machine-registry.ts';
import type { StoredWaveform } from '#core/ports/time-series-store.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { SpectrumView } from '../schemas/waveforms.ts';

/** A longer record would hold up every other request while it is transformed. */
const MAX_SAMPLES = 1_048_576;
const MAX_CACHED = 32;

type Kind = Spectrum['kind'];

export interface SpectrumRequest {
  readonly waveform: StoredWaveform;
  /** Absent where the machine was forgotten since: then nothing is marked. */
  readonly registered: RegisteredMachine | undefined;
  /** Of its features; absent while there are none. */
  readonly features: FeaturesBody | undefined;
  readonly kinds: readonly Kind[];
  readonly maxLines: number;
  readonly read: () => Promise<Uint8Array>;
}

/** Computes spectra of stored waveforms, and keeps the newest few: a waveform never changes, its machine's description seldom. */
export class SpectrumReader {
  readonly #cache = new Map<string, SpectrumView>();

  /** One spectrum a kind, in the order asked for. @throws HttpProblem where the record cannot be transformed. */
  async read(request: SpectrumRequest): Promise<readonly SpectrumView[]> {
    const { waveform, kinds } = request;
    if (waveform.sampleCount > MAX_SAMPLES) {
      throw cannot(
        `The waveform has ${waveform.sampleCount} samples; spectra are made here of at most ${MAX_SAMPLES}.`,
      );
    }
    let samples: Float64Array | undefined;
    const views: SpectrumView[] = [];
    for (const kind of kinds) {
      const key = cacheKey(request, kind);
      const known = this.#cache.get(key);
      samples ??= known ? undefined : decodeSamples(await request.read(), waveform.encoding, waveform.scale);
      const view = known ?? (samples && reduced(transform(request, kind, samples), request.maxLines));
      if (!view) continue;
      this.#keep(key, view);
      views.push(view);
    }
    return views;
  }

  #keep(key: string, view: SpectrumView): void {
    this.#cache.delete(key);
    this.#cache.set(key, view);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= MAX_CACHED) break;
      this.#cache.delete(oldest);
    }
  }
}

function cacheKey(request: SpectrumRequest, kind: Kind): string {
  const { waveform, registered, maxLines } = request;
  const { machine, waveformId, sha256 } = waveform;
  const { rpm, rpmSource } = speedOf(request);
  return [kind, machine, waveformId, sha256, registered?.revision ?? 0, rpm, rpmSource, maxLines].join(' ');
}

/** The speed that the features were computed with, where a reading told it; else the waveform's own, or the nominal one. */
function speedOf({ waveform, features }: SpectrumRequest): Pick<WaveformInput, 'rpm' | 'rpmSource' | 'rpmReadAtMs'> {
  if (waveform.rpm !== undefined || features?.rpmFrom !== 'reading') return { rpm: waveform.rpm };
  const { rpm, rpmReadAtMs } = features.provenance;
  return { rpm, rpmSource: 'reading', rpmReadAtMs };
}

function transform(request: SpectrumRequest, kind: Kind, samples: Float64Array): Spectrum {
  const { sampleRateHz, unit, sensor } = request.waveform;
  const { machine, problems } = featureMachine(request.registered?.machine, sensor);
  const compute = kind === 'amplitude' ? amplitudeSpectrum : envelopeSpectrum;
  try {
    const spectrum = compute({ samples, sampleRateHz, unit, ...speedOf(request) }, { machine });
    const leftOut = problems.map((reason) => ({ kind: 'bearing', reason }) as const);
    return { ...spectrum, unmarked: [...leftOut, ...spectrum.unmarked] };
  } catch (error) {
    if (error instanceof RangeError) throw cannot(`The ${kind} spectrum cannot be made: ${error.message}.`);
    throw error;
  }
}

/** Merges neighbouring lines into one that keeps their highest amplitude, so that no peak is lost. Line k stays at k times the step. */
function reduced(
  { kind, unit, frequencyStepHz, amplitudes, marks, unmarked, provenance }: Spectrum,
  maxLines: number,
): SpectrumView {
  const mergedLines = Math.ceil(amplitudes.length / maxLines);
  const shared = { kind, unit, marks: [...marks], unmarked: [...unmarked], provenance: { ...provenance } };
  if (mergedLines <= 1) return { ...shared, frequencyStepHz, mergedLines: 1, amplitudes: Array.from(amplitudes) };
  const merged = new Array<number>(Math.ceil(amplitudes.length / mergedLines)).fill(0);
  for (let line = 0; line < amplitudes.length; line++) {
    const into = Math.floor(line / mergedLines);
    merged[into] = Math.max(merged[into]!, amplitudes[line]!);
  }
  return { ...shared, frequencyStepHz: frequencyStepHz * mergedLines, mergedLines, amplitudes: merged };
}

function cannot(detail: string): HttpProblem {
  return new HttpProblem('invalid-request', {
    detail,
    remedy: 'The samples themselves come with Accept: application/octet-stream from /v1/waveforms/{id}.',
  });
}
