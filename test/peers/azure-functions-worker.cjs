// The process of azure-functions.ts: loads the package in its folder, and calls its functions with what comes by IPC.
const { join } = require('node:path');
const Module = require('node:module');
const process = require('node:process');

const functions = new Map();
let model;
const core = {
  version: '3.12.0',
  hostVersion: '4.1041.0',
  setProgrammingModel: (given) => (model = given),
  getProgrammingModel: () => model,
  registerFunction: (metadata, callback) => {
    functions.set(metadata.name, { metadata, callback });
    return { dispose: () => undefined };
  },
  registerHook: () => ({ dispose: () => undefined }),
  log: () => undefined,
};
const load = Module._load;
Module._load = (name, ...rest) => (name === '@azure/functions-core' ? core : load(name, ...rest));

const folder = process.cwd();
require(join(folder, require(join(folder, 'package.json')).main));
process.send({ functions: [...functions.values()].map(({ metadata }) => metadata) });

process.on('message', async ({ id, name, string }) => {
  const { metadata, callback } = functions.get(name);
  const [trigger] = Object.keys(metadata.bindings);
  const invocation = model.getInvocationModel({
    ...{ invocationId: String(id), metadata: { name, bindings: metadata.bindings }, state: 'invocation' },
    request: { inputData: [{ name: trigger, data: { string } }], triggerMetadata: {} },
    log: () => undefined,
  });
  const { context, inputs } = await invocation.getArguments();
  try {
    const result = await invocation.invokeFunction(context, inputs, callback);
    await invocation.getResponse(context, result);
    process.send({ id, outcome: 'completed' });
  } catch (error) {
    const { name: of, code, message } = error;
    process.send({ id, outcome: { name: of, code, message } });
  }
});
