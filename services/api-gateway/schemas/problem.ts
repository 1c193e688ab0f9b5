export type { Problem } from '../../shared/http/problem-types.ts';
