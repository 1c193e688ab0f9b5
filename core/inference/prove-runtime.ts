import { PortError, type CallOptions } from '../errors.ts';
import type { ModelInference } from '../ports/model-inference.ts';
import { DEFAULT_INDICATOR_PARAMETERS, scoreVector, type BaselineModel } from './health-indicator.ts';
import { healthGraph } from './health-model.ts';
import { encodeOnnxModel } from './onnx-model.ts';

const GOLDEN_MODEL: BaselineModel = {
  kind: 'log-level-baseline',
  version: 1,
  features: ['band_500_1000_hz_rms_g', 'band_1000_2500_hz_rms_g', 'band_2500_5000_hz_rms_g'],
  mean: [-3, -2, -1],
  scale: [0.25, 0.5, 0.125],
  trainedOn: 100,
  parameters: DEFAULT_INDICATOR_PARAMETERS,
};

const GOLDEN_LEVELS = [-1.5, -2.75, -0.75];
/** Deviations 6, -1.5 and 2: those above the baseline, over three. */
const GOLDEN_SCORE = 8 / 3;

/** Checks that the runtime scores a golden vector as the formula does. @throws PortError internal when it scores otherwise, or as {@link ModelInference}. */
export async function proveRuntime(inference: ModelInference, options: CallOptions = {}): Promise<void> {
  const model = await inference.load(encodeOnnxModel(healthGraph(GOLDEN_MODEL)), options);
  try {
    const { scores } = await model.infer([Float64Array.from(GOLDEN_LEVELS, Math.exp)], options);
    const score = scores[0] ?? Number.NaN;
    const formula = scoreVector(GOLDEN_MODEL, GOLDEN_LEVELS).score;
    if (Math.abs(score - GOLDEN_SCORE) < 1e-9 && Math.abs(formula - GOLDEN_SCORE) < 1e-9) return;
    throw new PortError('internal', `the model runtime scores ${score} where ${GOLDEN_SCORE} is right`);
  } finally {
    await model.close();
  }
}
