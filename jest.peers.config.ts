import type { Config } from 'jest';
import base from './jest.config.ts';

/** Adapters against the peers of the services that they are for, one file at a time: each starts servers of its own. */
const config: Config = {
  ...base,
  testMatch: ['<rootDir>/{adapters,test/peers}/**/*.peer.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  setupFiles: ['<rootDir>/test/peers/node-errors.ts'],
  maxWorkers: 1,
  testTimeout: 120_000,
  // With all results written, Node.js 24 was seen to spin for ever in its own cleanup at the end of a process that had used all the SDKs.
  forceExit: true,
};

export default config;
