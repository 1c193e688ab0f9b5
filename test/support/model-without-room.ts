import { encodeOnnxModel } from '#core/inference/onnx-model.ts';

/** Of 64 bits: a little less than the 2^32 bytes that the runtime can address, of which it uses some already. */
const TOO_WIDE = 2n ** 29n - 2n ** 14n;

/**
 * A model of two features for which ONNX Runtime finds no memory: it makes a tensor that is too large of what it is given, or of constants, which
 * the runtime computes as it loads.
 */
export function modelWithoutRoom(when: 'to run' | 'to load'): Uint8Array {
  return encodeOnnxModel({
    name: 'wide',
    description: '',
    producer: { name: 'tribo', version: 'test' },
    inputs: [{ name: 'x', type: 'float64', shape: ['batch', 2] }],
    outputs: [{ name: 'score', type: 'float64', shape: ['batch', 1] }],
    constants: [
      { name: 'ones', dims: [2, 1], data: Float64Array.of(1, 1) },
      { name: 'zero', dims: [1, 1], data: Float64Array.of(0) },
      { name: 'wide', dims: [2], data: BigInt64Array.of(TOO_WIDE, 1n) },
    ],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'ones'], outputs: ['sum'] },
      { op: 'Expand', inputs: [when === 'to run' ? 'sum' : 'zero', 'wide'], outputs: ['large'] },
      {
        ...{ op: 'ReduceMean', inputs: ['large'], outputs: ['mean'] },
        attributes: { axes: { ints: [0] }, keepdims: { int: 1 } },
      },
      { op: 'Max', inputs: ['sum', 'mean'], outputs: ['score'] },
    ],
    metadata: {},
  });
}
