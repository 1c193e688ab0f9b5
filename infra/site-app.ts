import { App } from 'cdktf';
import stackTrace from 'cdktf/lib/tokens/private/stack-trace.js';

/**
 * CDKTF keeps with each value that is resolved later where in the code it was made, for its message about one that cannot be, and has no setting for that:
 * it is a third of a synthesis, and three quarters of one under jest, which looks each line of them up in its maps of sources.
 */
stackTrace.captureStackTrace = () => [
  'not kept: take captureStackTrace out of infra/site-app.ts to see where it was made',
];

/** Whose stacks are written to `outdir`. */
export function siteApp(outdir: string): App {
  return new App({ outdir, stackTraces: false });
}
