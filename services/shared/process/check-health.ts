/**
 * Exits with 0 where the process that listens on the given loopback port is alive: `node services/shared/process/check-health.ts 8081`, the health
 * check of the images. It asks by HTTP, and by HTTPS where that is spoken there: what answers on loopback is asked for no certificate.
 */
import { get as getByHttp } from 'node:http';
import { get as getByHttps } from 'node:https';

const ANSWERS_WITHIN_MS = 2_000;
/** Exit code of a wrong call, as sysexits.h has it. */
const EX_USAGE = 64;

const [port = ''] = process.argv.slice(2);
if (/^[1-9]\d{0,4}$/.test(port)) process.exitCode = (await isAlive('http')) || (await isAlive('https')) ? 0 : 1;
else {
  process.stderr.write(`The port of the health check must be a number, got "${port}"\n`);
  process.exitCode = EX_USAGE;
}

function isAlive(protocol: 'http' | 'https'): Promise<boolean> {
  const url = `${protocol}://127.0.0.1:${port}/health/live`;
  const options = { timeout: ANSWERS_WITHIN_MS, agent: false, rejectUnauthorized: false };
  const get = protocol === 'http' ? getByHttp : getByHttps;
  return new Promise((resolve) => {
    const request = get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
    request.on('close', () => resolve(false));
  });
}
