/** A server for the test that kills it. */
import { servePort } from './port-server.ts';

await servePort(process.argv[2] ?? '', 'echo', {
  pid: () => process.pid,
  columns: () => ({ ts: new Float64Array([1.5, 2.5]) }),
  wait: () => new Promise(() => undefined),
});
process.send?.('listening');
