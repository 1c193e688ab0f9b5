/** Says whether this machine has what deploying by hand takes: `npm run toolchain`, or `npm run toolchain -- aws` for one cloud. */
import { CLOUDS, type Cloud } from '../../core/decision/cloud.ts';
import { look, PROGRAMS } from './programs.ts';

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(CLOUDS as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`${unknown.join(', ')}: name any of ${CLOUDS.join(', ')}, or none for all`);
  process.exit(64);
}
const clouds = asked.length > 0 ? (asked as Cloud[]) : CLOUDS;
const found = await Promise.all(
  PROGRAMS.filter((program) => program.clouds.some((cloud) => clouds.includes(cloud))).map(look),
);
for (const { ok, says } of found) console.log(`${ok ? 'ok  ' : 'FAIL'} ${says}`);
if (found.some(({ ok }) => !ok)) process.exitCode = 1;
