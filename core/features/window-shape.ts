/** How readings are gathered into windows; one set for all series of a `RollingWindows`. */
export interface RollingWindowOptions {
  /** Length of a window. Windows begin at multiples of `hopMs` since 1970. */
  readonly sizeMs: number;
  /** Distance of window starts; divides `sizeMs`. Equal to it the windows tumble, below it they overlap. */
  readonly hopMs: number;
  /** How far the watermark stays behind the newest reading of its series: disorder up to this costs nothing. */
  readonly watermarkDelayMs: number;
  /** For how long after its end (by the watermark) a window is still corrected. */
  readonly allowedLatenessMs: number;
  /** So far a reading's time may be after its arrival without moving the watermark beyond that; default 5 min, as the edge allows. */
  readonly maxAheadMs?: number | undefined;
  /** Time constant of the exponentially weighted mean; a third of `sizeMs` when absent. */
  readonly ewmaTimeConstantMs?: number | undefined;
  /** Series (machine and metric) held at once; readings of further ones are refused until a machine is forgotten. */
  readonly maxSeries: number;
}

/** {@link RollingWindowOptions}, checked, and what follows from them for every series. */
export interface WindowShape {
  readonly sizeMs: number;
  readonly hopMs: number;
  readonly delayMs: number;
  readonly latenessMs: number;
  readonly aheadMs: number;
  readonly timeConstantMs: number;
  readonly panesPerWindow: number;
  /** Panes of one series that can be needed at once. */
  readonly paneCapacity: number;
  /** Those of a series whose clock is ahead. */
  readonly paneCapacityAhead: number;
  /** exp(-j hop / time constant): weight of a pane that ends j hops before its window. */
  readonly paneDecay: Float64Array;
}

/** Bounds what one series can cost, at about 100 bytes a pane. */
const MAX_PANES = 4096;
const DEFAULT_MAX_AHEAD_MS = 300_000;

/** @throws RangeError that names the option, when one is out of range. */
export function windowShape(options: RollingWindowOptions): WindowShape {
  const { sizeMs, hopMs, watermarkDelayMs, allowedLatenessMs, maxSeries } = options;
  const aheadMs = options.maxAheadMs ?? DEFAULT_MAX_AHEAD_MS;
  const timeConstantMs = options.ewmaTimeConstantMs ?? sizeMs / 3;
  requireWhole('hopMs', hopMs, 1);
  requireWhole('sizeMs', sizeMs, hopMs);
  if (sizeMs % hopMs !== 0) throw new RangeError(`hopMs must divide sizeMs, got ${hopMs} and ${sizeMs}`);
  requireWhole('watermarkDelayMs', watermarkDelayMs, 0);
  requireWhole('allowedLatenessMs', allowedLatenessMs, 0);
  requireWhole('maxAheadMs', aheadMs, 0);
  requireWhole('maxSeries', maxSeries, 1);
  if (!(timeConstantMs > 0 && Number.isFinite(timeConstantMs))) {
    throw new RangeError(`ewmaTimeConstantMs must be above 0, got ${timeConstantMs}`);
  }
  const panesPerWindow = sizeMs / hopMs;
  const panesOver = (spanMs: number) => Math.ceil(spanMs / hopMs) + panesPerWindow + 1;
  const paneCapacity = panesOver(watermarkDelayMs + allowedLatenessMs);
  const paneCapacityAhead = panesOver(watermarkDelayMs + allowedLatenessMs + aheadMs);
  if (paneCapacityAhead > MAX_PANES) {
    throw new RangeError(
      `(sizeMs + watermarkDelayMs + allowedLatenessMs + maxAheadMs) / hopMs must stay below ${MAX_PANES}, got ${paneCapacityAhead}`,
    );
  }
  return {
    sizeMs,
    hopMs,
    delayMs: watermarkDelayMs,
    latenessMs: allowedLatenessMs,
    aheadMs,
    timeConstantMs,
    panesPerWindow,
    paneCapacity,
    paneCapacityAhead,
    paneDecay: Float64Array.from({ length: panesPerWindow }, (_, j) => Math.exp((-j * hopMs) / timeConstantMs)),
  };
}

function requireWhole(name: string, value: number, low: number): void {
  if (!(Number.isSafeInteger(value) && value >= low)) {
    throw new RangeError(`${name} must be a whole number of at least ${low}, got ${value}`);
  }
}
