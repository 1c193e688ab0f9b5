import { createHash } from 'node:crypto';
import { isName, machineRef } from '#core/domain/ids.ts';
import { PortError } from '#core/errors.ts';
import {
  MAX_ARTIFACT_BYTES,
  modelKey,
  type ModelDraft,
  type ModelRef,
  type ModelVersion,
} from '#core/ports/model-registry.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';

/** The artifacts of a registry's versions, in an object store, under their tenant and SHA-256. */
export class ModelArtifacts {
  readonly #objects: ObjectStore;

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  /** Keeps the bytes of a version that is to be registered. @throws PortError invalid_argument where no registry may. */
  async keep(
    model: ModelRef,
    { artifact }: ModelDraft,
    signal?: AbortSignal,
  ): Promise<Pick<ModelVersion, 'sha256' | 'artifactBytes'>> {
    checkModel(model);
    checkArtifact(artifact);
    const sha256 = sha256Of(artifact);
    // Bytes first: a crash in between leaves an object that nobody refers to, never a version without its artifact.
    await this.#objects.put(objectKey(model, sha256), artifact, { ifAbsent: true, ...(signal && { signal }) });
    return { sha256, artifactBytes: artifact.byteLength };
  }

  /** @throws PortError data_loss (bytes gone or changed). */
  async read(
    { model, version, sha256 }: Pick<ModelVersion, 'model' | 'version' | 'sha256'>,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const bytes = await this.#objects.get(objectKey(model, sha256), signal && { signal });
    if (bytes && sha256Of(bytes) === sha256) return bytes;
    const what = bytes ? 'was changed' : 'is gone';
    throw new PortError('data_loss', `the artifact of ${modelKey(model)} version ${version} ${what}; restore a backup`);
  }
}

function checkModel({ name, machine, sensor, tenant }: ModelRef): void {
  if (!isName(name)) throw new PortError('invalid_argument', 'a model name is 1 to 64 of A-Z a-z 0-9 _ . -');
  if (machine !== undefined && machineRef(machine).tenant !== tenant) {
    throw new PortError('invalid_argument', `${machine} is not a machine of ${tenant}`);
  }
  if (sensor !== undefined && (machine === undefined || !isName(sensor))) {
    throw new PortError('invalid_argument', 'a sensor is a name, and goes with its machine');
  }
}

function checkArtifact({ byteLength }: Uint8Array): void {
  if (byteLength === 0) throw new PortError('invalid_argument', 'the artifact is empty');
  if (byteLength > MAX_ARTIFACT_BYTES) {
    throw new PortError('invalid_argument', `an artifact is at most ${MAX_ARTIFACT_BYTES} bytes, got ${byteLength}`);
  }
}

function objectKey({ tenant }: ModelRef, sha256: string): string {
  return `models/${tenant}/${sha256}`;
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
