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
};

export default config;
