import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fitBaseline, logVector, scoreVector, DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { healthDraft, healthGraph } from '#core/inference/health-model.ts';
import { encodeOnnxModel } from '#core/inference/onnx-model.ts';
import { proveRuntime } from '#core/inference/prove-runtime.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { OnnxModelInference } from './onnx-model-inference.ts';

const level = fc.double({ min: 1e-6, max: 1e6, noNaN: true });

/** A baseline's training sets, and a set to be judged. */
const plant = fc.integer({ min: 1, max: 12 }).chain((width) => {
  const set = fc.array(level, { minLength: width, maxLength: width });
  return fc.record({ training: fc.array(set, { minLength: 3, maxLength: 30 }), judged: set });
});

const featuresOf = (width: number) => Array.from({ length: width }, (_, i) => `band_${i}`);

describe('health model in ONNX', () => {
  it('scores and explains as the formula does, within 1e-9, whatever the baseline', async () => {
    await using inference = new OnnxModelInference({ maxLoadedModels: 2 });
    const property = fc.asyncProperty(plant, async ({ training, judged }) => {
      const features = featuresOf(judged.length);
      const baseline = fitBaseline(
        features,
        training.map((set) => set.map(Math.log)),
        DEFAULT_INDICATOR_PARAMETERS,
      );
      const values = Object.fromEntries(features.map((feature, i) => [feature, judged[i]!]));
      const formula = scoreVector(baseline, logVector(features, values)!);
      const model = await inference.load(encodeOnnxModel(healthGraph(baseline)));
      const { scores, deviations } = await model.infer([Float64Array.from(judged)]);
      await model.close();
      expect(Math.abs(scores[0]! - formula.score)).toBeLessThan(1e-9 * Math.max(1, formula.score));
      for (const { feature, z } of formula.contributions) {
        const own = deviations![0]![features.indexOf(feature)]!;
        expect(Math.abs(own - z)).toBeLessThan(1e-9 * Math.max(1, Math.abs(z)));
      }
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it('is the same file for the same training, whoever trains', () => {
    const vectors = [[-1], [-2], [-1.5]];
    const training = {
      machine: 'demo/akron/press-7' as MachineKey,
      sensor: 'acc',
      fromMs: 1,
      toMs: 2,
      featuresSoftware: '1',
    };
    const draft = () => healthDraft(fitBaseline(['band_0'], vectors, DEFAULT_INDICATOR_PARAMETERS), training);
    expect(draft()).toEqual(draft());
    expect(draft().provenance).toEqual({
      trainedOn: 'the first 3 feature sets of demo/akron/press-7 acc while running',
      fromMs: 1,
      toMs: 2,
      samples: 3,
      software: 'tribo-health 1.0.0, ONNX opset 17, features by 1',
      metrics: { meanScale: expect.any(Number) },
    });
  });

  it('passes the golden vector that a service proves its runtime by', async () => {
    await using inference = new OnnxModelInference({ maxLoadedModels: 1 });
    await expect(proveRuntime(inference)).resolves.toBeUndefined();
  });

  it('fails that proof in a runtime that scores wrongly', async () => {
    const wrong = { scores: Float64Array.of(2.6) };
    const model = { inputLength: 3, explains: false, infer: async () => wrong, close: async () => undefined };
    const inference = { load: async () => model, close: async () => undefined };
    await expect(proveRuntime(inference)).rejects.toMatchObject({ code: 'internal' });
  });
});
