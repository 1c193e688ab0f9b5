import type { Config } from 'jest';

const config: Config = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/{core,adapters,services,bench,test}/**/*.test.ts'],
  testPathIgnorePatterns: [
    '/node_modules/',
    '\\.peer\\.test\\.ts$',
    '<rootDir>/test/faults/',
    '<rootDir>/test/browser/',
    '<rootDir>/test/parity/fixtures/',
  ],
  modulePathIgnorePatterns: ['<rootDir>/.tribo/', '<rootDir>/infra/'],
  maxWorkers: 2,
  // For a hang only: a busy machine takes many times what a quiet one does.
  testTimeout: 120_000,
};

export default config;
