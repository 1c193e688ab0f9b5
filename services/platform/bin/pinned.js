import { fileURLToPath } from 'node:url';

/** Of the Node.js that runs TypeScript as it is; `npm ci` brings it. */
export const PINNED_MAJOR = 24;

export const PINNED_NODE = fileURLToPath(new URL('../../../node_modules/node/bin/node', import.meta.url));

export const isPinned = Number(process.versions.node.split('.')[0]) === PINNED_MAJOR;

// What was stripped of its types and compiled is kept, for child processes too: a start takes a third less. Where the folder cannot be
// written nothing is kept.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../../../node_modules/.cache/node', import.meta.url));
