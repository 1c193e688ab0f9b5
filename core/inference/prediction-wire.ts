import { z } from 'zod';
import { messageOf, PORT_ERROR_CODES, PortError } from '../errors.ts';
import type { Inference } from '../ports/model-inference.ts';

/** What a model server is asked. */
export interface PredictionRequest {
  /** SHA-256 of the model's artifact, hexadecimal. Absent: the only model of the server's location. */
  readonly model?: string | undefined;
  /** The artifact, for a server that may not have it. */
  readonly artifact?: Uint8Array | undefined;
  readonly vectors: readonly Float64Array[];
}

/** What it answers. */
export interface PredictionAnswer extends Inference {
  readonly model: ServedModel;
}

/** A model as its server tells of it. */
export interface ServedModel {
  readonly sha256: string;
  readonly inputLength: number;
  readonly explains: boolean;
}

const parametersSchema = z.strictObject({
  model: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  artifact: z.base64().or(z.literal('')).optional(),
});

/**
 * A request in the shape that Vertex AI has: `{"instances": [[1.5, 2]], "parameters": {"model": "<SHA-256>", "artifact": "<base64>"}}`. JSON has no
 * name for some numbers: they are the texts `NaN`, `Infinity`, `-Infinity` and `-0`.
 */
export function encodeRequest({ model, artifact, vectors }: PredictionRequest): string {
  const parameters = { model, ...(artifact && { artifact: Buffer.from(artifact).toString('base64') }) };
  return JSON.stringify({ instances: vectors.map(toWire), parameters });
}

/** @throws PortError invalid_argument, which says what is wrong and where. */
export function decodeRequest(text: string): PredictionRequest {
  const { instances, parameters = {} } = objectOf(parsed(text));
  const { data, error } = parametersSchema.safeParse(parameters);
  if (error) {
    const [issue] = error.issues;
    throw invalid(`${['parameters', ...(issue?.path ?? [])].join('.')}: ${issue?.message}`);
  }
  if (data.artifact !== undefined && data.model === undefined)
    throw invalid('parameters.model must be the SHA-256 of the artifact that comes with the request');
  if (!Array.isArray(instances)) throw invalid('instances must be a list of vectors, each a list of numbers');
  return {
    ...{ model: data.model, vectors: instances.map((each, i) => vectorOf(each, `instances[${i}]`)) },
    ...(data.artifact !== undefined && { artifact: Buffer.from(data.artifact, 'base64') }),
  };
}

/** An answer: `{"predictions": [{"score": 1, "deviations": [1, -1]}], "model": {...}}`; the numbers as in {@link encodeRequest}. */
export function encodeAnswer({ scores, deviations, model }: PredictionAnswer): string {
  const predictions = Array.from(scores, (score, i) => {
    const own = deviations?.[i];
    return { score: numberToWire(score), ...(own && { deviations: toWire(own) }) };
  });
  return JSON.stringify({ predictions, model });
}

const servedModelSchema = z.object({
  sha256: z.string(),
  inputLength: z.int().positive(),
  explains: z.boolean(),
});

/** @throws PortError invalid_argument where the text is no answer of a model server. */
export function decodeAnswer(text: string): PredictionAnswer {
  const { predictions, model: given } = objectOf(parsed(text));
  const { data: model } = servedModelSchema.safeParse(given);
  if (!Array.isArray(predictions) || !model) throw invalid('it has no "predictions" with their "model"');
  const rows = predictions.map(objectOf);
  const scores = vectorOf(
    rows.map(({ score }) => score),
    'score',
  );
  if (!model.explains) return { scores, model };
  return { scores, deviations: rows.map((row, i) => vectorOf(row['deviations'], `predictions[${i}]`)), model };
}

const errorSchema = z.object({ error: z.object({ code: z.enum(PORT_ERROR_CODES), message: z.string() }) });
const wrappedSchema = z.object({ error: z.object({ message: z.string() }) });

/** An error, without what led to it: `{"error": {"code": "invalid_argument", "message": "..."}}`. */
export function encodeError({ code, message }: PortError): string {
  return JSON.stringify({ error: { code, message } });
}

/** The error that a text is or holds as the message of another: a cloud may wrap what its container answered. Undefined where it is none. */
export function decodeError(text: string): PortError | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { data: own } = errorSchema.safeParse(value);
  if (own) return new PortError(own.error.code, own.error.message);
  const { data: wrapping } = wrappedSchema.safeParse(value);
  return wrapping && decodeError(wrapping.error.message);
}

function toWire(numbers: Float64Array): (number | string)[] {
  return Array.from(numbers, numberToWire);
}

function numberToWire(value: number): number | string {
  if (Object.is(value, -0)) return '-0';
  return Number.isFinite(value) ? value : String(value);
}

const NAMED: Readonly<Record<string, number>> = { NaN: Number.NaN, Infinity, '-Infinity': -Infinity, '-0': -0 };

function vectorOf(value: unknown, where: string): Float64Array {
  if (!Array.isArray(value)) throw invalid(`${where} must be a list of numbers`);
  const vector = new Float64Array(value.length);
  for (const [i, each] of (value as unknown[]).entries()) {
    const number = typeof each === 'string' ? NAMED[each] : each;
    if (typeof number !== 'number') throw invalid(`${where}[${i}] must be a number`);
    vector[i] = number;
  }
  return vector;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PortError('invalid_argument', `not JSON: ${messageOf(error)}`, { cause: error });
  }
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid('must be an object, such as {"instances": [[1.5, 2]]}');
}

function invalid(detail: string): PortError {
  return new PortError('invalid_argument', detail);
}
