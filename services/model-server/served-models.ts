import { createHash } from 'node:crypto';
import { PortError } from '#core/errors.ts';
import type { LoadedModel, ModelInference } from '#core/ports/model-inference.ts';

/** A model's file, as it lies where models are deployed. */
export interface DeployedArtifact {
  /** Ends in `<SHA-256 of the bytes>.onnx`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

interface Entry {
  readonly loading: Promise<LoadedModel>;
  readonly isDeployed: boolean;
  /** Of its artifact. */
  readonly bytes: number;
  users: number;
}

interface Limits {
  readonly maxModels: number;
  /** Of the artifacts of the models in memory together: what the runtime makes of one is a multiple of it. */
  readonly maxModelBytes: number;
  /** Whether a model may come with a request. */
  readonly uploads: 'on' | 'off';
}

/** The models in memory, each by the SHA-256 of its artifact: those that were deployed stay, of the others the least recently used goes. */
export class ServedModels {
  readonly #inference: ModelInference;
  readonly #limits: Limits;
  /** In order of use, the least recent first. */
  readonly #entries = new Map<string, Entry>();

  constructor(inference: ModelInference, limits: Limits) {
    this.#inference = inference;
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @throws PortError data_loss (the name is not that of the bytes), invalid_argument (no model), resource_exhausted (too many). */
  async deploy({ name, bytes }: DeployedArtifact): Promise<void> {
    const sha256 = sha256Of(bytes);
    if (!name.endsWith(`${sha256}.onnx`))
      throw new PortError(
        'data_loss',
        `${name} must be named by the SHA-256 of its bytes, ${sha256}.onnx: it is another file, or was changed`,
      );
    await this.#add(sha256, bytes, true).loading;
  }

  /**
   * Uses a model, or the only deployed one where none is named, which is not closed meanwhile.
   * @throws PortError not_found (not in memory, and no artifact came), data_loss (the artifact is another), failed_precondition (uploads are off), resource_exhausted (all models are in use), and as `ModelInference.load`.
   */
  async use<Result>(
    { model, artifact }: { readonly model?: string | undefined; readonly artifact?: Uint8Array | undefined },
    work: (loaded: LoadedModel, sha256: string) => Promise<Result>,
  ): Promise<Result> {
    const sha256 = model ?? this.#onlyDeployed();
    const entry = this.#entries.get(sha256) ?? this.#upload(sha256, artifact);
    this.#entries.delete(sha256);
    this.#entries.set(sha256, entry);
    entry.users += 1;
    try {
      return await work(await entry.loading, sha256);
    } finally {
      entry.users -= 1;
    }
  }

  #onlyDeployed(): string {
    const deployed = [...this.#entries].filter(([, { isDeployed }]) => isDeployed);
    if (deployed.length === 1) return deployed[0]![0];
    const detail = `${deployed.length} models are deployed here: say by parameters.model which one is meant, by its SHA-256`;
    throw new PortError('invalid_argument', detail);
  }

  #upload(sha256: string, artifact: Uint8Array | undefined): Entry {
    if (artifact === undefined) throw new PortError('not_found', `there is no model ${sha256} here`);
    if (this.#limits.uploads === 'off')
      throw new PortError(
        'failed_precondition',
        `this server takes no models with requests: deploy ${sha256}.onnx in its location`,
      );
    const actual = sha256Of(artifact);
    if (actual !== sha256)
      throw new PortError('data_loss', `the artifact that came has the SHA-256 ${actual}, not ${sha256}`);
    return this.#add(sha256, artifact, false);
  }

  #add(sha256: string, artifact: Uint8Array, isDeployed: boolean): Entry {
    const loading = this.#makeRoom(artifact.byteLength).then(() => this.#inference.load(artifact));
    const entry = { loading, isDeployed, bytes: artifact.byteLength, users: 0 };
    this.#entries.set(sha256, entry);
    loading.catch(() => {
      if (this.#entries.get(sha256) === entry) this.#entries.delete(sha256);
    });
    return entry;
  }

  /** For one more of that size. What is in memory changes before this waits for anything. */
  async #makeRoom(bytes: number): Promise<void> {
    const going: Entry[] = [];
    while (!this.#hasRoomFor(bytes)) {
      const idle = [...this.#entries].find(([, { isDeployed, users }]) => !isDeployed && users === 0);
      if (!idle) {
        await closeAll(going);
        throw this.#isFull(bytes);
      }
      this.#entries.delete(idle[0]);
      going.push(idle[1]);
    }
    await closeAll(going);
  }

  #hasRoomFor(bytes: number): boolean {
    const { maxModels, maxModelBytes } = this.#limits;
    return this.#entries.size < maxModels && this.#bytes + bytes <= maxModelBytes;
  }

  get #bytes(): number {
    return [...this.#entries.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #isFull(bytes: number): PortError {
    const { maxModels, maxModelBytes } = this.#limits;
    if (this.#entries.size >= maxModels)
      return new PortError(
        'resource_exhausted',
        `${this.#entries.size} models are in memory and in use: try again, or raise --max-models`,
      );
    return new PortError(
      bytes > maxModelBytes ? 'invalid_argument' : 'resource_exhausted',
      `a model of ${bytes} bytes does not fit beside ${this.#bytes} bytes of models in use, within ${maxModelBytes}: ${bytes > maxModelBytes ? '' : 'try again, or '}raise --max-model-bytes`,
    );
  }
}

async function closeAll(entries: readonly Entry[]): Promise<void> {
  await Promise.all(
    entries.map(({ loading }) =>
      loading.then(
        (loaded) => loaded.close(),
        () => undefined,
      ),
    ),
  );
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
