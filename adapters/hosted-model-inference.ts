import { createHash } from 'node:crypto';
import { checkBatch } from '#core/inference/check-batch.ts';
import { decodeAnswer, decodeError, encodeRequest, type PredictionAnswer } from '#core/inference/prediction-wire.ts';
import {
  isPortError,
  messageOf,
  PortError,
  throwIfAborted,
  type CallOptions,
  type PortErrorCode,
} from '#core/errors.ts';
import type { Inference, LoadedModel, ModelInference } from '#core/ports/model-inference.ts';
import { cloudCall } from './cloud-call.ts';

/** An endpoint of a cloud behind which services/model-server runs. */
export interface ModelEndpoint {
  /** For messages: `SageMaker endpoint akron`. */
  readonly name: string;
  readonly timeoutMs: number;
  /** What the cloud lets through. */
  readonly maxRequestBytes: number;
  /** Sends JSON and resolves with the answer's body: one attempt, throwing what the SDK throws. */
  invoke(body: string, signal: AbortSignal): Promise<string>;
  /** What the cloud's own errors mean. */
  readonly codeOf: (error: unknown) => PortErrorCode;
  /** What the model server answered, where the error is that. */
  readonly modelAnswerOf: (error: unknown) => string | undefined;
  close(): void;
}

/** Room for what a request has besides its numbers and the artifact. */
const FRAME_BYTES = 1024;
/** The longest double in JSON, `-1.2345678901234567e-300`, with its comma. */
const NUMBER_BYTES = 25;
/** Of a vector's prediction besides its numbers. */
const PREDICTION_BYTES = 32;

/**
 * Models that run in a cloud, whichever it is. A model is named by the SHA-256 of its artifact; where the server that answers does not have it (it is
 * new, or needed the room), the same is asked again with the artifact, so that any replica can answer any call.
 */
export class HostedModelInference implements ModelInference {
  readonly #endpoint: ModelEndpoint;
  #isClosed = false;

  constructor(endpoint: ModelEndpoint) {
    this.#endpoint = endpoint;
  }

  async load(artifact: Uint8Array, options: CallOptions = {}): Promise<LoadedModel> {
    throwIfAborted(options.signal);
    this.#checkOpen();
    const carried = { sha256: createHash('sha256').update(artifact).digest('hex'), bytes: artifact.slice() };
    const { model } = await this.#ask(carried, [], options);
    this.#checkOpen();
    return new HostedModel(model, {
      vectorsAtOnce: this.#vectorsAtOnce(carried, model.inputLength),
      ask: (vectors, given) => {
        this.#checkOpen();
        return this.#ask(carried, vectors, given);
      },
    });
  }

  /** Models stay in the server, which lets go of what is not used. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#endpoint.close();
  }

  async #ask(model: Carried, vectors: readonly Float64Array[], options: CallOptions): Promise<PredictionAnswer> {
    try {
      return await this.#invoke(encodeRequest({ model: model.sha256, vectors }), vectors.length, options);
    } catch (error) {
      if (!isPortError(error) || error.code !== 'not_found') throw error;
      this.#checkFits(model);
      const request = encodeRequest({ model: model.sha256, artifact: model.bytes, vectors });
      return this.#invoke(request, vectors.length, options);
    }
  }

  /** @throws PortError not_found where the server does not have the model, and then only. */
  async #invoke(body: string, count: number, { signal }: CallOptions): Promise<PredictionAnswer> {
    const { name, timeoutMs, codeOf } = this.#endpoint;
    const call = { what: `invoke ${name}`, timeoutMs, signal };
    const text = await cloudCall(
      call,
      (error) => runtimeCode(codeOf(error)),
      async (stopped) => {
        try {
          return await this.#endpoint.invoke(body, stopped);
        } catch (error) {
          throw this.#modelErrorOf(error) ?? error;
        }
      },
    );
    const answer = this.#parse(text);
    if (answer.scores.length === count) return answer;
    throw new PortError('internal', `${name} gave ${answer.scores.length} scores of ${count} vectors`);
  }

  #modelErrorOf(error: unknown): PortError | undefined {
    const known = decodeError(this.#endpoint.modelAnswerOf(error) ?? '');
    return known && new PortError(known.code, `${this.#endpoint.name}: ${known.message}`, { cause: error });
  }

  #parse(text: string): PredictionAnswer {
    try {
      return decodeAnswer(text);
    } catch (error) {
      const detail = `the answer of ${this.#endpoint.name} is not that of Tribo's model server (${messageOf(error)}): deploy docs/model-server.md there`;
      throw new PortError('failed_precondition', detail, { cause: error });
    }
  }

  #vectorsAtOnce({ bytes }: Carried, inputLength: number): number {
    const room = this.#endpoint.maxRequestBytes - base64Bytes(bytes) - FRAME_BYTES;
    return Math.max(1, Math.floor(room / ((inputLength + 1) * NUMBER_BYTES + PREDICTION_BYTES)));
  }

  #checkFits({ bytes, sha256 }: Carried): void {
    const { name, maxRequestBytes } = this.#endpoint;
    if (base64Bytes(bytes) + FRAME_BYTES <= maxRequestBytes) return;
    throw new PortError(
      'failed_precondition',
      `${name} does not have the model ${sha256}, and its ${bytes.byteLength} bytes do not fit into a request of at most ${maxRequestBytes}: deploy it there`,
    );
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new PortError('failed_precondition', `${this.#endpoint.name} is closed`);
  }
}

/** An endpoint that is not there is a runtime that is away: it may be being replaced. */
function runtimeCode(code: PortErrorCode): PortErrorCode {
  return code === 'not_found' ? 'unavailable' : code;
}

interface Carried {
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

interface Asking {
  /** So many fit into a request, with the artifact. */
  readonly vectorsAtOnce: number;
  ask(vectors: readonly Float64Array[], options: CallOptions): Promise<PredictionAnswer>;
}

class HostedModel implements LoadedModel {
  readonly inputLength: number;
  readonly explains: boolean;
  readonly #asking: Asking;
  #isClosed = false;

  constructor({ inputLength, explains }: PredictionAnswer['model'], asking: Asking) {
    this.inputLength = inputLength;
    this.explains = explains;
    this.#asking = asking;
  }

  async infer(vectors: readonly Float64Array[], options: CallOptions = {}): Promise<Inference> {
    throwIfAborted(options.signal);
    if (this.#isClosed) throw new PortError('failed_precondition', 'this model is closed');
    checkBatch(vectors, this.inputLength);
    const scores = new Float64Array(vectors.length);
    const deviations: Float64Array[] = [];
    const { vectorsAtOnce } = this.#asking;
    for (let at = 0; at < vectors.length; at += vectorsAtOnce) {
      const answer = await this.#asking.ask(vectors.slice(at, at + vectorsAtOnce), options);
      scores.set(answer.scores, at);
      deviations.push(...(answer.deviations ?? []));
    }
    return { scores, ...(this.explains && { deviations }) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}

function base64Bytes(bytes: Uint8Array): number {
  return Math.ceil(bytes.byteLength / 3) * 4;
}
