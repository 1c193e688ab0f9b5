import { describe, expect, it } from '@jest/globals';
import { modelInferenceContract } from '#core/contracts/model-inference.contract.ts';
import { encodeOnnxModel } from '#core/inference/onnx-model.ts';
import { describeContract } from '#test/support/describe-contract.ts';
import { HeldClock } from '#test/support/held-clock.ts';
import { modelWithoutRoom } from '#test/support/model-without-room.ts';
import { OnnxModelInference } from './onnx-model-inference.ts';
import { lacksMemory } from './runtime-module.ts';

const open = (maxLoadedModels = 8) => new OnnxModelInference({ maxLoadedModels });

const artifact = encodeOnnxModel({
  name: 'sum',
  description: '',
  producer: { name: 'tribo', version: 'test' },
  inputs: [{ name: 'x', type: 'float64', shape: ['batch', 2] }],
  outputs: [{ name: 'score', type: 'float64', shape: ['batch', 1] }],
  constants: [{ name: 'ones', dims: [2, 1], data: Float64Array.of(1, 1) }],
  nodes: [{ op: 'MatMul', inputs: ['x', 'ones'], outputs: ['score'] }],
  metadata: {},
});

describeContract(modelInferenceContract, 'onnx', async () => {
  const inference = open();
  return { inference, [Symbol.asyncDispose]: () => inference.close() };
});

describe('ONNX model inference', () => {
  it('bounds the models in memory, and takes another once one is closed', async () => {
    await using inference = open(2);
    const first = await inference.load(artifact);
    await inference.load(artifact);
    await expect(inference.load(artifact)).rejects.toMatchObject({ code: 'resource_exhausted' });
    await first.close();
    await expect(inference.load(artifact)).resolves.toMatchObject({ inputLength: 2, explains: false });
  });

  it('tells that a model finds no memory from a model that cannot run, and goes on', async () => {
    await using inference = open();
    const before = await inference.load(artifact);
    const message = expect.stringMatching(/has no memory to (load|run) this model.*try again/);
    await expect(inference.load(modelWithoutRoom('to load'))).rejects.toMatchObject({
      ...{ code: 'resource_exhausted', message },
    });
    const wide = await inference.load(modelWithoutRoom('to run'));
    await expect(wide.infer([Float64Array.of(1, 2)])).rejects.toMatchObject({ code: 'resource_exhausted', message });
    for (const model of [before, await inference.load(artifact)])
      expect([...(await model.infer([Float64Array.of(1, 2)])).scores]).toEqual([3]);
  });

  it('takes a model that it never has memory for as one that cannot run, and runs others on', async () => {
    await using inference = new OnnxModelInference({ maxLoadedModels: 8 }, new HeldClock(0));
    const before = await inference.load(artifact);
    const wide = await inference.load(modelWithoutRoom('to run'));
    const toLoad = () => inference.load(modelWithoutRoom('to load'));
    const toRun = () => wide.infer([Float64Array.of(1, 2)]);
    for (const attempt of [toLoad, toRun]) {
      for (const code of ['resource_exhausted', 'resource_exhausted', 'failed_precondition', 'failed_precondition'])
        await expect(attempt()).rejects.toMatchObject({ code });
    }
    for (const model of [before, await inference.load(artifact)])
      expect([...(await model.infer([Float64Array.of(1, 2)])).scores]).toEqual([3]);
    await expect((await inference.load(modelWithoutRoom('to run'))).infer([])).resolves.toMatchObject({});
  });

  it.each([
    ['an artifact that it cannot copy', new Error("Can't create a session. failed to allocate a buffer of size 9.")],
    ['what aborts it', new Error('Aborted(). Build with -sASSERTIONS for more info.')],
    ['a buffer of its answer', new RangeError('Array buffer allocation failed')],
  ])('knows a want of memory by the words of %s', (_what, error) => {
    expect(lacksMemory(error)).toBe(true);
  });

  it.each([
    ['another error', new Error("Can't create a session. ERROR_CODE: 7, ERROR_MESSAGE: no protobuf")],
    ['what lies nowhere in its memory', 2 ** 32],
  ])('takes %s for no want of memory', (_what, error) => {
    expect(lacksMemory(error)).toBe(false);
  });

  it('takes scores as a column', async () => {
    await using inference = open();
    const model = await inference.load(artifact);
    const { scores } = await model.infer([Float64Array.of(1, 2), Float64Array.of(3, 4)]);
    expect([...scores]).toEqual([3, 7]);
  });

  it('survives an artifact with any one byte changed: it loads or is refused as invalid', async () => {
    await using inference = open();
    for (let at = 0; at < artifact.length; at++) {
      const changed = artifact.slice();
      changed[at] = changed[at]! ^ 0x41;
      const outcome = await inference.load(changed).then(
        (model) => model.close(),
        (error: unknown) => error,
      );
      if (outcome !== undefined) expect(outcome).toMatchObject({ code: 'invalid_argument' });
    }
    const { scores } = await (await inference.load(artifact)).infer([Float64Array.of(1, 2)]);
    expect([...scores]).toEqual([3]);
  });
});
