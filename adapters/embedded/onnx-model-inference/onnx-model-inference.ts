import { createHash } from 'node:crypto';
import type { InferenceSession, Tensor } from 'onnxruntime-web';
import { systemClock, type Clock } from '#core/clock.ts';
import { isPortError, messageOf, PortError, throwIfAborted, type CallOptions } from '#core/errors.ts';
import { checkBatch } from '#core/inference/check-batch.ts';
import type { Inference, LoadedModel, ModelInference } from '#core/ports/model-inference.ts';
import type { OnnxModelInferenceConfig } from './config.ts';
import { MemoryRefusals } from './memory-refusals.ts';

type Runtime = typeof import('onnxruntime-web');

/** ONNX Runtime's CPU build for WebAssembly, in this process and thread: no native library, and nothing is fetched at run time. */
export class OnnxModelInference implements ModelInference, AsyncDisposable {
  readonly #config: OnnxModelInferenceConfig;
  readonly #loaded = new Set<OnnxModel>();
  /** Apart, so that a model that is loaded already runs on where there is no room for it a second time. */
  readonly #refusals: { readonly ofLoads: MemoryRefusals; readonly ofRuns: MemoryRefusals };
  #loading = 0;
  #closed = false;

  constructor(config: OnnxModelInferenceConfig, clock: Clock = systemClock) {
    this.#config = config;
    this.#refusals = { ofLoads: new MemoryRefusals(clock), ofRuns: new MemoryRefusals(clock) };
  }

  async load(artifact: Uint8Array, { signal }: CallOptions = {}): Promise<LoadedModel> {
    throwIfAborted(signal);
    this.#checkOpen();
    if (this.#loaded.size + this.#loading >= this.#config.maxLoadedModels) {
      throw new PortError('resource_exhausted', `${this.#config.maxLoadedModels} models are loaded; close some first`);
    }
    this.#loading += 1;
    try {
      const model = await this.#create(artifact);
      this.#loaded.add(model);
      if (this.#closed || signal?.aborted) await model.close();
      throwIfAborted(signal);
      this.#checkOpen();
      return model;
    } finally {
      this.#loading -= 1;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const model of this.#loaded) await model.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #create(artifact: Uint8Array): Promise<OnnxModel> {
    const { ofLoads, ofRuns } = this.#refusals;
    const library = await loadRuntime();
    const sha256 = createHash('sha256').update(artifact).digest('hex');
    const session = await createSession(library, artifact, (create) =>
      ofLoads.attempt({ sha256, what: 'load this model', vectors: 0 }, create),
    );
    try {
      const what = 'run this model on these vectors';
      return new OnnxModel(library, session, {
        attempt: (vectors, run) => ofRuns.attempt({ sha256, what, vectors }, run),
        onClose: (closed) => this.#loaded.delete(closed),
      });
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new PortError('failed_precondition', 'this model runtime is closed');
  }
}

let runtime: Promise<Runtime> | undefined;

/** Loaded on first use, once a process: it takes a third of a second and 65 MB, which a process without models need not pay. */
function loadRuntime(): Promise<Runtime> {
  runtime ??= import('onnxruntime-web').then(
    (loaded) => {
      // One thread: a health model takes 50 us, and more would spawn workers that keep the process alive.
      loaded.env.wasm.numThreads = 1;
      loaded.env.logLevel = 'error';
      loaded.env.wasm.wasmPaths = { mjs: import.meta.resolve('./runtime-module.ts') };
      return loaded;
    },
    (error: unknown) => {
      runtime = undefined;
      throw new PortError('unavailable', 'onnxruntime-web did not load; run npm ci again', { cause: error });
    },
  );
  return runtime;
}

async function createSession(
  { InferenceSession: sessions }: Runtime,
  artifact: Uint8Array,
  attempt: (create: () => Promise<InferenceSession>) => Promise<InferenceSession>,
): Promise<InferenceSession> {
  try {
    return await attempt(() => sessions.create(artifact, { executionProviders: ['wasm'], logSeverityLevel: 4 }));
  } catch (error) {
    if (isPortError(error)) throw error;
    const detail = messageOf(error);
    throw new PortError('invalid_argument', `not a model that can run here: ${detail}`, { cause: error });
  }
}

interface Surroundings {
  /** Makes one attempt at a run of so many vectors, bounded in what it may cost others. */
  attempt<Result>(vectors: number, run: () => Promise<Result>): Promise<Result>;
  onClose(model: OnnxModel): void;
}

class OnnxModel implements LoadedModel {
  readonly inputLength: number;
  readonly explains: boolean;
  readonly #library: Runtime;
  readonly #session: InferenceSession;
  readonly #input: FloatInput;
  readonly #surroundings: Surroundings;
  #closing: Promise<void> | undefined;

  constructor(library: Runtime, session: InferenceSession, surroundings: Surroundings) {
    this.#library = library;
    this.#session = session;
    this.#surroundings = surroundings;
    this.#input = floatInput(session);
    this.inputLength = this.#input.length;
    if (!session.outputNames.includes('score')) {
      throw new PortError('invalid_argument', `the model has no output "score", but ${session.outputNames.join(', ')}`);
    }
    this.explains = session.outputNames.includes('deviations');
  }

  async infer(vectors: readonly Float64Array[], { signal }: CallOptions = {}): Promise<Inference> {
    throwIfAborted(signal);
    if (this.#closing) throw new PortError('failed_precondition', 'this model is closed');
    checkBatch(vectors, this.inputLength);
    if (vectors.length === 0) return { scores: new Float64Array(0), ...(this.explains && { deviations: [] }) };
    const outputs = await this.#run(vectors);
    const scores = numbers(outputs['score'], vectors.length, 'score');
    if (!this.explains) return { scores };
    const deviations = numbers(outputs['deviations'], vectors.length * this.inputLength, 'deviations');
    const ofVector = (_: unknown, i: number) => deviations.slice(i * this.inputLength, (i + 1) * this.inputLength);
    return { scores, deviations: vectors.map(ofVector) };
  }

  close(): Promise<void> {
    this.#closing ??= this.#session.release().finally(() => this.#surroundings.onClose(this));
    return this.#closing;
  }

  async #run(vectors: readonly Float64Array[]): Promise<InferenceSession.OnnxValueMapType> {
    const { name, type } = this.#input;
    const size = vectors.length * this.inputLength;
    const data = type === 'float64' ? new Float64Array(size) : new Float32Array(size);
    vectors.forEach((vector, i) => data.set(vector, i * this.inputLength));
    const tensor = new this.#library.Tensor(type, data, [vectors.length, this.inputLength]);
    try {
      return await this.#surroundings.attempt(vectors.length, () => this.#session.run({ [name]: tensor }));
    } catch (error) {
      if (isPortError(error)) throw error;
      throw new PortError('internal', 'the model failed on a well-formed batch', { cause: error });
    }
  }
}

interface FloatInput {
  readonly name: string;
  readonly type: 'float32' | 'float64';
  readonly length: number;
}

function floatInput(session: InferenceSession): FloatInput {
  const [input, ...others] = session.inputMetadata;
  if (input?.isTensor && others.length === 0) {
    const { name, type, shape } = input;
    const [batch, length, ...more] = shape;
    const isMatrix = typeof batch === 'string' && typeof length === 'number' && length > 0 && more.length === 0;
    if (isMatrix && (type === 'float32' || type === 'float64')) return { name, type, length };
  }
  throw new PortError(
    'invalid_argument',
    'the model must have one input: floats of a free batch x a fixed number of features',
  );
}

function numbers(value: Tensor | undefined, count: number, output: string): Float64Array {
  const data = value?.data;
  if ((data instanceof Float32Array || data instanceof Float64Array) && data.length === count) {
    return Float64Array.from(data);
  }
  throw new PortError('internal', `the model gave no ${count} floats as "${output}"`);
}
