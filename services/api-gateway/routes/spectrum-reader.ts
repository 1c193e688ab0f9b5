import { amplitudeSpectrum, envelopeSpectrum, type Spectrum } from '#core/features/waveform-features.ts';
import { decodeSamples } from '#core/domain/waveform.ts';
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

function cacheKey({ waveform, registered, maxLines }: SpectrumRequest, kind: Kind): string {
  return [kind, waveform.machine, waveform.waveformId, waveform.sha256, registered?.revision ?? 0, maxLines].join(' ');
}

function transform({ waveform, registered }: SpectrumRequest, kind: Kind, samples: Float64Array): Spectrum {
  const { sampleRateHz, unit, rpm } = waveform;
  const { bearings = [], sensors = [], powerKw, nominalRpm, shaftHeightMm, support } = registered?.machine ?? {};
  const heard = sensors.find((sensor) => sensor.id === waveform.sensor)?.bearing;
  const machine = {
    powerKw,
    nominalRpm,
    shaftHeightMm,
    support,
    bearings: heard === undefined ? bearings : bearings.filter((bearing) => bearing.id === heard),
  };
  const compute = kind === 'amplitude' ? amplitudeSpectrum : envelopeSpectrum;
  try {
    return compute({ samples, sampleRateHz, unit, rpm }, { machine });
  } catch (error) {
    if (error instanceof RangeError) throw cannot(`The ${kind} spectrum cannot be made: ${error.message}.`);
    throw error;
  }
}

/** Merges neighbouring lines into one that keeps their highest amplitude, so that no peak is lost. Line k stays at k times the step. */
function reduced(
  { kind, unit, frequencyStepHz, amplitudes, marks, provenance }: Spectrum,
  maxLines: number,
): SpectrumView {
  const mergedLines = Math.ceil(amplitudes.length / maxLines);
  const shared = { kind, unit, marks: marks.map((mark) => ({ ...mark })), provenance: { ...provenance } };
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
