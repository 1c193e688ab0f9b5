import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** What is read here of ONNX Runtime's WebAssembly module, by Emscripten's names. */
interface RuntimeModule {
  readonly HEAPU32: Uint32Array;
  UTF8ToString(at: number): string;
}

type StartModule = (config: object) => Promise<RuntimeModule>;

let started: RuntimeModule | undefined;

/**
 * ONNX Runtime starts its WebAssembly module by this, where `env.wasm.wasmPaths` names this file: it gives nobody the module, and without it
 * what the runtime's C++ throws is a number that says nothing.
 */
async function startModule(config: object): Promise<RuntimeModule> {
  const library = pathToFileURL(createRequire(import.meta.url).resolve('onnxruntime-web'));
  const { href } = new URL('ort-wasm-simd-threaded.mjs', library);
  const { default: start } = (await import(href)) as { readonly default: StartModule };
  started = await start({ ...config, locateFile: (name: string) => new URL(name, href).href });
  return started;
}

/** The name by which ONNX Runtime imports it. */
export { startModule as default };

/** As the Itanium C++ ABI writes `std::bad_alloc`, which a tensor throws that finds no room. */
const BAD_ALLOC = 'St9bad_alloc';

/** How else the runtime says so: JavaScript's buffers, the artifact's own bytes, and the runtime's `operator new`, which aborts. */
const LACKING = [/allocation failed|could not allocate/i, /failed to allocate a buffer/, /^Aborted\((OOM)?\)/];

/** Whether ONNX Runtime failed for want of memory. */
export function lacksMemory(error: unknown): boolean {
  if (typeof error === 'number') return typeThrown(error) === BAD_ALLOC;
  return error instanceof Error && LACKING.some((pattern) => pattern.test(error.message));
}

/** Emscripten throws the address of what C++ threw; before it lies its header of 24 bytes, with the type's description as the second word. */
const HEADER_BYTES = 24;

function typeThrown(address: number): string | undefined {
  const wordAt = (at: number): number => started?.HEAPU32[at >>> 2] ?? 0;
  const type = wordAt(address - HEADER_BYTES + 4);
  const name = type === 0 ? 0 : wordAt(type + 4);
  return name === 0 ? undefined : started?.UTF8ToString(name);
}
