import { isOfService, messageOf, PortError, type CallOptions } from '../errors.ts';
import type { LoadedModel, ModelInference } from '../ports/model-inference.ts';
import { modelKey, type ModelRef, type ModelRegistry, type ModelVersion } from '../ports/model-registry.ts';

export interface RunnableModel {
  readonly version: ModelVersion;
  readonly loaded: LoadedModel;
}

/** The promoted versions of models, loaded; they follow promotions and rollbacks. Least recently used ones are closed beyond the bound. */
export class PromotedModels implements AsyncDisposable {
  readonly #registry: ModelRegistry;
  readonly #inference: ModelInference;
  readonly #maxLoaded: number;
  /** In order of use, the least recent first. Undefined where nothing is promoted. */
  readonly #entries = new Map<string, { readonly generation: number; readonly model: RunnableModel | undefined }>();
  readonly #problems = new Map<string, { readonly version: ModelVersion; readonly detail: string }>();
  readonly #unsubscribe: () => void;
  #generation = 0;

  constructor(registry: ModelRegistry, inference: ModelInference, options: { readonly maxLoaded: number }) {
    this.#registry = registry;
    this.#inference = inference;
    this.#maxLoaded = options.maxLoaded;
    this.#unsubscribe = registry.onChange(() => this.changed());
  }

  /** What is promoted is looked up again at next use: after an own promotion, of which the registry tells only soon. */
  changed(): void {
    this.#generation += 1;
  }

  /**
   * The promoted version, or undefined where none is. One caller at a time; what it returned before may be closed by the next call.
   * @throws PortError failed_precondition when the promoted version cannot run: its artifact is gone, corrupt, or of another shape.
   */
  async get(ref: ModelRef, options: CallOptions = {}): Promise<RunnableModel | undefined> {
    const key = modelKey(ref);
    const known = this.#entries.get(key);
    const generation = this.#generation;
    if (known?.generation === generation) {
      this.#use(key, known);
      return known.model;
    }
    const version = await this.#registry.getPromoted(ref, options);
    if (version && version.version === known?.model?.version.version) {
      this.#use(key, { generation, model: known.model });
      return known.model;
    }
    const model = version && (await this.#load(key, version, options));
    await known?.model?.loaded.close();
    this.#use(key, { generation, model });
    await this.#evict();
    return model;
  }

  /** Why promoted versions cannot run, for readiness: at most ten, each tried again now. */
  async problems(options: CallOptions = {}): Promise<readonly string[]> {
    const suspects = [...this.#problems].slice(0, 10);
    for (const [key, { version }] of suspects) {
      const promoted = await this.#registry.getPromoted(version.model, options);
      if (promoted?.version !== version.version) this.#problems.delete(key);
      else await this.#load(key, version, options).then(({ loaded }) => loaded.close(), ignore);
    }
    return suspects.flatMap(([key]) => this.#problems.get(key)?.detail ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    for (const { model } of this.#entries.values()) await model?.loaded.close();
    this.#entries.clear();
  }

  async #load(key: string, version: ModelVersion, options: CallOptions): Promise<RunnableModel> {
    try {
      const artifact = await this.#registry.artifact(version.model, version.version, options);
      const loaded = await this.#inference.load(artifact, options);
      if (loaded.inputLength !== version.inputs.length) {
        await loaded.close();
        const { inputs } = version;
        throw new PortError('invalid_argument', `it takes ${loaded.inputLength} inputs, ${inputs.length} are named`);
      }
      this.#problems.delete(key);
      return { version, loaded };
    } catch (error) {
      if (isOfService(error) || options.signal?.aborted) throw error;
      const why = messageOf(error);
      const detail = `${key} version ${version.version} cannot run: ${why}; roll back, or promote another version`;
      this.#problems.set(key, { version, detail });
      throw new PortError('failed_precondition', detail, { cause: error });
    }
  }

  #use(key: string, entry: { readonly generation: number; readonly model: RunnableModel | undefined }): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  async #evict(): Promise<void> {
    while (this.#entries.size > this.#maxLoaded) {
      const [key, { model }] = this.#entries.entries().next().value!;
      this.#entries.delete(key);
      await model?.loaded.close();
    }
  }
}

function ignore(): void {
  // What failed is among the problems.
}
