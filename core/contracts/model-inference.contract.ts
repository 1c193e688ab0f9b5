import assert from 'node:assert/strict';
import { encodeOnnxModel, type OnnxGraph, type OnnxValue } from '../inference/onnx-model.ts';
import { MAX_INFERENCE_BATCH, type LoadedModel, type ModelInference } from '../ports/model-inference.ts';
import type { Contract } from './contract.ts';
import { failsWith } from './fails-with.ts';

export interface ModelInferenceHarness {
  readonly inference: ModelInference;
}

const FEATURES = 3;
const mean = Float64Array.of(1, -2, 0.5);
const scale = Float64Array.of(0.5, 4, 1e-3);

/** deviations = (x - mean) / scale; score = sqrt(mean of their squares). */
const scorer = {
  name: 'contract',
  description: 'Distance from a mean',
  producer: { name: 'tribo', version: 'contract' },
  inputs: [{ name: 'features', type: 'float64', shape: ['batch', FEATURES] }],
  outputs: [
    { name: 'score', type: 'float64', shape: ['batch'] },
    { name: 'deviations', type: 'float64', shape: ['batch', FEATURES] },
  ],
  constants: [
    { name: 'mean', dims: [FEATURES], data: mean },
    { name: 'scale', dims: [FEATURES], data: scale },
  ],
  nodes: [
    { op: 'Sub', inputs: ['features', 'mean'], outputs: ['centred'] },
    { op: 'Div', inputs: ['centred', 'scale'], outputs: ['deviations'] },
    { op: 'Mul', inputs: ['deviations', 'deviations'], outputs: ['squares'] },
    {
      op: 'ReduceMean',
      inputs: ['squares'],
      outputs: ['meanSquare'],
      attributes: { axes: { ints: [-1] }, keepdims: { int: 0 } },
    },
    { op: 'Sqrt', inputs: ['meanSquare'], outputs: ['score'] },
  ],
  metadata: {},
} as const satisfies OnnxGraph;

const silentScorer = { ...scorer, outputs: [scorer.outputs[0]] };
const singlePrecisionScorer: OnnxGraph = {
  ...silentScorer,
  inputs: [{ ...scorer.inputs[0], type: 'float32' }],
  outputs: [{ ...scorer.outputs[0], type: 'float32' }],
  constants: scorer.constants.map((each) => ({ ...each, data: Float32Array.from(each.data) })),
};
const artifact = encodeOnnxModel(scorer);
/** score = mean of ln x; deviations = ln x: of 0 it is -Infinity, below NaN. */
const logScorer: OnnxGraph = {
  ...scorer,
  constants: [],
  nodes: [
    { op: 'Log', inputs: ['features'], outputs: ['deviations'] },
    { ...scorer.nodes[3], inputs: ['deviations'], outputs: ['score'] },
  ],
};

function expected(vector: Float64Array): { score: number; deviations: Float64Array } {
  const deviations = vector.map((x, i) => (x - mean[i]!) / scale[i]!);
  return { score: Math.sqrt(deviations.reduce((sum, z) => sum + z * z, 0) / FEATURES), deviations };
}

const vectors = [
  Float64Array.from(mean),
  Float64Array.of(1.5, 2, 0.501),
  Float64Array.of(0, 0, 0),
  Float64Array.of(-1e6, 1e6, 1e-9),
];

function assertNear(actual: number, wanted: number, tolerance = 1e-12): void {
  assert.ok(Math.abs(actual - wanted) <= tolerance * Math.max(1, Math.abs(wanted)), `${actual} is not ${wanted}`);
}

async function assertWorks(model: LoadedModel): Promise<void> {
  const { scores } = await model.infer(vectors);
  for (const [i, vector] of vectors.entries()) assertNear(scores[i]!, expected(vector).score);
}

const badArtifacts: readonly (readonly [string, Uint8Array])[] = [
  ['that is empty', new Uint8Array(0)],
  ['that is no model', new TextEncoder().encode('model.joblib')],
  ['that is cut off', artifact.subarray(0, artifact.length >> 1)],
  ['with an unknown operator', encodeOnnxModel({ ...scorer, nodes: [{ ...scorer.nodes[0], op: 'Frobnicate' }] })],
  ['with a dangling name', encodeOnnxModel({ ...scorer, constants: scorer.constants.slice(1) })],
  ['without an output "score"', encodeOnnxModel({ ...scorer, outputs: [scorer.outputs[1]] })],
  ['with inputs of unknown length', withInput({ ...scorer.inputs[0], shape: ['batch', 'features'] })],
  ['with whole-number inputs', withInput({ ...scorer.inputs[0], type: 'int64' })],
  [
    'with two inputs',
    encodeOnnxModel({ ...scorer, inputs: [...scorer.inputs, { ...scorer.inputs[0], name: 'more' }] }),
  ],
];

function withInput(input: OnnxValue): Uint8Array {
  return encodeOnnxModel({ ...scorer, inputs: [input] });
}

export const modelInferenceContract: Contract<ModelInferenceHarness> = {
  port: 'model-inference',
  cases: [
    {
      name: 'scores a golden vector and explains the score',
      async run({ inference }) {
        const model = await inference.load(artifact);
        assert.equal(model.inputLength, FEATURES);
        assert.equal(model.explains, true);
        const { scores, deviations } = await model.infer([Float64Array.of(1.5, 2, 0.501)]);
        assertNear(scores[0]!, 1);
        assert.equal(scores.length, 1);
        for (const each of deviations![0]!) assertNear(each, 1, 1e-10);
      },
    },
    {
      name: 'gives a batch what it gives its vectors one by one, in their order',
      async run({ inference }) {
        const model = await inference.load(artifact);
        const together = await model.infer(vectors);
        for (const [i, vector] of vectors.entries()) {
          const alone = await model.infer([vector]);
          assertNear(together.scores[i]!, alone.scores[0]!);
          assertNear(together.scores[i]!, expected(vector).score);
          assert.deepEqual(together.deviations![i], alone.deviations![0]);
        }
      },
    },
    {
      name: 'takes an empty batch, and one of the largest size',
      async run({ inference }) {
        const model = await inference.load(artifact);
        assert.equal((await model.infer([])).scores.length, 0);
        const { scores } = await model.infer(Array<Float64Array>(MAX_INFERENCE_BATCH).fill(vectors[1]!));
        assert.equal(scores.length, MAX_INFERENCE_BATCH);
        assertNear(scores[MAX_INFERENCE_BATCH - 1]!, 1, 1e-9);
        await assert.rejects(
          model.infer(Array<Float64Array>(MAX_INFERENCE_BATCH + 1).fill(vectors[1]!)),
          failsWith('invalid_argument'),
        );
      },
    },
    {
      name: 'runs a model of single precision, and one that does not explain itself',
      async run({ inference }) {
        const model = await inference.load(encodeOnnxModel(singlePrecisionScorer));
        const { scores, deviations } = await model.infer(vectors.slice(0, 3));
        assert.equal(model.explains, false);
        assert.equal(deviations, undefined);
        for (const [i, score] of scores.entries()) assertNear(score, expected(vectors[i]!).score, 1e-4);
      },
    },
    {
      name: 'gives scores and deviations that are not finite as they are',
      async run({ inference }) {
        const model = await inference.load(encodeOnnxModel(logScorer));
        const { scores, deviations } = await model.infer([
          Float64Array.of(0, 1, 1),
          Float64Array.of(-1, 1, 1),
          Float64Array.of(1, 1, 1),
        ]);
        assert.deepEqual([...scores], [-Infinity, Number.NaN, 0]);
        assert.deepEqual([...deviations![0]!], [-Infinity, 0, 0]);
        assert.deepEqual([...deviations![1]!], [Number.NaN, 0, 0]);
      },
    },
    ...badArtifacts.map(([what, bytes]) => ({
      name: `refuses an artifact ${what}, and goes on`,
      async run({ inference }: ModelInferenceHarness) {
        await assert.rejects(inference.load(bytes), failsWith('invalid_argument'));
        await assertWorks(await inference.load(artifact));
      },
    })),
    {
      name: 'refuses a vector of another length or with a non-finite element, and goes on',
      async run({ inference }) {
        const model = await inference.load(artifact);
        for (const bad of [[], [1, 2], [1, 2, 3, 4], [1, Number.NaN, 3], [1, 2, Number.POSITIVE_INFINITY]]) {
          await assert.rejects(model.infer([vectors[0]!, Float64Array.from(bad)]), failsWith('invalid_argument'));
        }
        await assertWorks(model);
      },
    },
    {
      name: 'leaves vectors and artifact as they were',
      async run({ inference }) {
        const bytes = artifact.slice();
        const vector = Float64Array.of(1.5, 2, 0.501);
        await (await inference.load(bytes)).infer([vector]);
        assert.deepEqual(bytes, artifact);
        assert.deepEqual(vector, Float64Array.of(1.5, 2, 0.501));
      },
    },
    {
      name: 'keeps loaded models apart, also under concurrent calls',
      async run({ inference }) {
        const shifted = { name: 'mean', dims: [FEATURES], data: Float64Array.of(101, 98, 100.5) };
        const [near, far] = await Promise.all([
          inference.load(artifact),
          inference.load(encodeOnnxModel({ ...scorer, constants: [shifted, scorer.constants[1]] })),
        ]);
        const results = await Promise.all([1, 2, 3].flatMap(() => [near.infer([mean]), far.infer([shifted.data])]));
        for (const { scores } of results) assertNear(scores[0]!, 0);
        assert.ok((await far.infer([mean])).scores[0]! > 100);
      },
    },
    {
      name: 'refuses a model after its close, which is idempotent and leaves other models alone',
      async run({ inference }) {
        const model = await inference.load(artifact);
        const other = await inference.load(artifact);
        await model.close();
        await model.close();
        await assert.rejects(model.infer(vectors), failsWith('failed_precondition'));
        await assertWorks(other);
      },
    },
    {
      name: 'refuses everything after its close, which is idempotent',
      async run({ inference }) {
        const model = await inference.load(artifact);
        await inference.close();
        await inference.close();
        await assert.rejects(model.infer(vectors), failsWith('failed_precondition'));
        await assert.rejects(inference.load(artifact), failsWith('failed_precondition'));
      },
    },
    {
      name: 'rejects at once for a caller that has stopped waiting',
      async run({ inference }) {
        const signal = AbortSignal.abort();
        await assert.rejects(inference.load(artifact, { signal }), failsWith('cancelled'));
        const model = await inference.load(artifact);
        await assert.rejects(model.infer(vectors, { signal }), failsWith('cancelled'));
      },
    },
  ],
};
