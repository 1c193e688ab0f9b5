import type { Config } from 'jest';
import base from '../jest.config.ts';

/** Of the package alone, once it is installed: the platform's tests run without it. */
const config: Config = {
  ...base,
  testMatch: ['<rootDir>/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  modulePathIgnorePatterns: ['<rootDir>/out/'],
  // Each file loads the bindings anew, of which a worker lets nothing go.
  maxWorkers: 2,
  workerIdleMemoryLimit: '1GB',
};

export default config;
