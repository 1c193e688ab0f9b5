import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PortError } from '#core/errors.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import type { DeployedArtifact } from './served-models.ts';

const ENDING = '.onnx';
const PAGE = 1000;

/** The models below a folder. @throws PortError failed_precondition: it cannot be read. */
export async function* modelsInFolder(folder: string): AsyncGenerator<DeployedArtifact> {
  const names = await readdir(folder, { recursive: true }).catch((error: unknown) => {
    throw new PortError('failed_precondition', `the models' folder ${folder} cannot be read: ${String(error)}`);
  });
  for (const name of names.filter((each) => each.endsWith(ENDING)).sort())
    yield { name, bytes: await readFile(join(folder, name)) };
}

/** The models in a store of objects. */
export async function* modelsInStore(store: Pick<ObjectStore, 'list' | 'get'>): AsyncGenerator<DeployedArtifact> {
  for (let after: string | undefined; ;) {
    const objects = await store.list({ prefix: '', limit: PAGE, ...(after !== undefined && { after }) });
    for (const { key } of objects.filter((each) => each.key.endsWith(ENDING))) {
      const bytes = await store.get(key);
      if (bytes) yield { name: key, bytes };
    }
    if (objects.length < PAGE) return;
    after = objects.at(-1)!.key;
  }
}
