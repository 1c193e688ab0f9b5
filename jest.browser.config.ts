import type { Config } from 'jest';
import base from './jest.config.ts';

/** The page in a real Chromium. */
const config: Config = {
  ...base,
  testMatch: ['<rootDir>/test/browser/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  maxWorkers: 1,
  testTimeout: 90_000,
};

export default config;
