/**
 * Says whether this machine has what deploying by hand takes: `npm run toolchain`, `npm run toolchain -- aws` for one cloud, and
 * `npm run toolchain -- aws kubernetes` where services run in a cluster there.
 */
import { CLOUDS, type Cloud } from '../../core/decision/cloud.ts';
import { look, PROGRAMS } from './programs.ts';

const CLUSTER = 'kubernetes';
const given = process.argv.slice(2);
const isCluster = given.includes(CLUSTER);
const asked = given.filter((name) => name !== CLUSTER);
const unknown = asked.filter((name) => !(CLOUDS as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(
    `${unknown.join(', ')}: name any of ${CLOUDS.join(', ')}, or none for all, and ${CLUSTER} for a cluster`,
  );
  process.exit(64);
}
const clouds = asked.length > 0 ? (asked as Cloud[]) : CLOUDS;
const found = await Promise.all(
  PROGRAMS.filter(
    ({ clouds: its, isForClusters }) =>
      its.some((cloud) => clouds.includes(cloud)) && (isCluster || isForClusters === undefined),
  ).map(look),
);
for (const { ok, says } of found) console.log(`${ok ? 'ok  ' : 'FAIL'} ${says}`);
if (found.some(({ ok }) => !ok)) process.exitCode = 1;
