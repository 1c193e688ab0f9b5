import type { Config } from 'jest';
import base from './jest.config.ts';

/** Faults with real processes: killed, starved of disk, overrun. One at a time, because each loads the machine. */
const config: Config = {
  ...base,
  testMatch: ['<rootDir>/test/faults/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  maxWorkers: 1,
  testTimeout: 180_000,
};

export default config;
