import type { Config } from 'jest';
import base from './jest.config.ts';

/** Faults with real processes: killed, starved of disk, overrun. */
const config: Config = {
  ...base,
  testMatch: ['<rootDir>/test/faults/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  maxWorkers: 2,
  testTimeout: 180_000,
};

export default config;
