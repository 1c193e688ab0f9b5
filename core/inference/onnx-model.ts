/** Element types that this writer emits; the numbers are `TensorProto.DataType`'s. */
const ELEMENT_TYPES = { float32: 1, int64: 7, float64: 11 } as const;
/** `AttributeProto.AttributeType`. */
const ATTRIBUTE_TYPES = { float: 1, int: 2, ints: 7 } as const;

/** IR 8 goes with opset 17 (ONNX 1.12): every runtime since 2022 reads it, and reductions still take their axes as an attribute. */
const IR_VERSION = 8;
export const ONNX_OPSET = 17;

export type OnnxElementType = keyof typeof ELEMENT_TYPES;

/** A constant of the graph, row-major. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Float32Array | Float64Array | BigInt64Array;
}

/** An input or output; a dimension given as a name is free, for instance `batch`. */
export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxElementType;
  readonly shape: readonly (number | string)[];
}

export type OnnxAttribute =
  { readonly int: number } | { readonly float: number } | { readonly ints: readonly number[] };

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** A graph in execution order, over the default operator set. */
export interface OnnxGraph {
  readonly name: string;
  readonly description: string;
  readonly producer: { readonly name: string; readonly version: string };
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants: readonly OnnxTensor[];
  readonly nodes: readonly OnnxNode[];
  /** Free text pairs that travel inside the file; other tools show them. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The graph as the bytes of an ONNX `ModelProto`, opset {@link ONNX_OPSET}. Field numbers are those of `onnx.proto3`. The same graph gives
 * the same bytes. Writes only what this project emits: dense constants, and attributes of numbers.
 */
export function encodeOnnxModel(graph: OnnxGraph): Uint8Array<ArrayBuffer> {
  return message([
    integer(1, IR_VERSION),
    text(2, graph.producer.name),
    text(3, graph.producer.version),
    text(6, graph.description),
    bytes(7, encodeGraph(graph)),
    bytes(8, message([integer(2, ONNX_OPSET)])),
    ...Object.entries(graph.metadata).map(([key, value]) => bytes(14, message([text(1, key), text(2, value)]))),
  ]);
}

type Field = Uint8Array<ArrayBuffer>;

function encodeGraph(graph: OnnxGraph): Field {
  return message([
    ...graph.nodes.map((node) => bytes(1, encodeNode(node))),
    text(2, graph.name),
    ...graph.constants.map((tensor) => bytes(5, encodeTensor(tensor))),
    ...graph.inputs.map((value) => bytes(11, encodeValue(value))),
    ...graph.outputs.map((value) => bytes(12, encodeValue(value))),
  ]);
}

function encodeNode(node: OnnxNode): Field {
  return message([
    ...node.inputs.map((name) => text(1, name)),
    ...node.outputs.map((name) => text(2, name)),
    text(4, node.op),
    ...Object.entries(node.attributes ?? {}).map(([name, value]) => bytes(5, encodeAttribute(name, value))),
  ]);
}

function encodeAttribute(name: string, value: OnnxAttribute): Field {
  if ('int' in value) return message([text(1, name), integer(3, value.int), integer(20, ATTRIBUTE_TYPES.int)]);
  if ('ints' in value) {
    return message([text(1, name), ...value.ints.map((each) => integer(8, each)), integer(20, ATTRIBUTE_TYPES.ints)]);
  }
  return message([text(1, name), float(2, value.float), integer(20, ATTRIBUTE_TYPES.float)]);
}

function encodeTensor({ name, dims, data }: OnnxTensor): Field {
  const elements = dims.reduce((product, each) => product * each, 1);
  if (elements !== data.length) {
    throw new RangeError(`constant ${name} of ${dims.join(' x ')} takes ${elements} values, got ${data.length}`);
  }
  return message([
    ...dims.map((each) => integer(1, each)),
    integer(2, ELEMENT_TYPES[elementType(data)]),
    text(8, name),
    bytes(9, littleEndian(data)),
  ]);
}

function elementType(data: OnnxTensor['data']): OnnxElementType {
  if (data instanceof Float32Array) return 'float32';
  return data instanceof Float64Array ? 'float64' : 'int64';
}

function littleEndian(data: OnnxTensor['data']): Field {
  const view = new DataView(new ArrayBuffer(data.byteLength));
  data.forEach((value: number | bigint, i: number) => {
    if (typeof value === 'bigint') view.setBigInt64(i * 8, value, true);
    else if (data instanceof Float32Array) view.setFloat32(i * 4, value, true);
    else view.setFloat64(i * 8, value, true);
  });
  return new Uint8Array(view.buffer);
}

function encodeValue({ name, type, shape }: OnnxValue): Field {
  const dims = shape.map((each) => bytes(1, message([typeof each === 'number' ? integer(1, each) : text(2, each)])));
  const tensorType = message([integer(1, ELEMENT_TYPES[type]), bytes(2, message(dims))]);
  return message([text(1, name), bytes(2, message([bytes(1, tensorType)]))]);
}

/** Protocol buffers' wire format: a key of field number and wire type, then a varint (0), 4 bytes (5), or a length and that many bytes (2). */
function integer(field: number, value: number): Field {
  return message([varint(field << 3), varint(value)]);
}

function float(field: number, value: number): Field {
  return message([varint((field << 3) | 5), littleEndian(new Float32Array([value]))]);
}

function text(field: number, value: string): Field {
  return bytes(field, new TextEncoder().encode(value));
}

function bytes(field: number, value: Uint8Array): Field {
  return message([varint((field << 3) | 2), varint(value.byteLength), value]);
}

/** Negative numbers take ten bytes in two's complement, as `int64` fields have them. */
function varint(value: number): Field {
  const groups: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) groups.push(Number(rest & 127n) | 128);
  groups.push(Number(rest));
  return new Uint8Array(groups);
}

function message(parts: readonly Uint8Array[]): Field {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.byteLength;
  }
  return joined;
}
