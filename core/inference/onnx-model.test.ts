import { describe, expect, it } from '@jest/globals';
import { encodeOnnxModel, type OnnxGraph } from './onnx-model.ts';

const graph: OnnxGraph = {
  name: 'g',
  description: '',
  producer: { name: 'p', version: '1' },
  inputs: [{ name: 'x', type: 'float32', shape: ['n', 300] }],
  outputs: [],
  constants: [{ name: 'c', dims: [1], data: Float32Array.of(1) }],
  nodes: [{ op: 'Op', inputs: ['x'], outputs: ['y'], attributes: { a: { ints: [-1] }, b: { float: 0.5 } } }],
  metadata: { key: 'value' },
};

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

// That a runtime reads these bytes is proven by the contract of model inference; here is what it might forgive.
describe('ONNX model writer', () => {
  it('writes the fields of onnx.proto3 in the wire format of protocol buffers', () => {
    const node = '0a0178' + '120179' + '22024f70' + '2a11' + intsAttribute + '2a0b' + floatAttribute;
    const value = '0a0178' + '1210' + '0a0e' + '0801' + '120a' + '0a03' + '12016e' + '0a03' + '08ac02';
    const tensor = '0801' + '1001' + '420163' + '4a04' + '0000803f';
    const encodedGraph = '0a2a' + node + '120167' + '2a0d' + tensor + '5a15' + value;
    const entry = '0a036b6579' + '120576616c7565';
    expect(hex(encodeOnnxModel(graph))).toBe(
      '0808' + '120170' + '1a0131' + '3200' + '3a55' + encodedGraph + '4202' + '1011' + '720c' + entry,
    );
  });

  it('gives the same bytes for the same graph', () => {
    expect(encodeOnnxModel({ ...graph, constants: [...graph.constants] })).toEqual(encodeOnnxModel(graph));
  });

  it('refuses a constant whose values do not fill its dimensions', () => {
    const constants = [{ name: 'c', dims: [2, 2], data: Float64Array.of(1, 2, 3) }];
    expect(() => encodeOnnxModel({ ...graph, constants })).toThrow('constant c of 2 x 2 takes 4 values, got 3');
  });
});

const intsAttribute = '0a0161' + '40ffffffffffffffffff01' + 'a00107';
const floatAttribute = '0a0162' + '150000003f' + 'a00101';
