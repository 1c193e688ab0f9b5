export { problemSchema, PROBLEM_TYPES } from '../../shared/http/problem-types.ts';
export type { Problem, ProblemType } from '../../shared/http/problem-types.ts';
