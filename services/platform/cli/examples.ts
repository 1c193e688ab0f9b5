/** For `--help` of each command and of what is under it: lines that work as they stand on the demo plant. */
export const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  start: ['tribo start', 'tribo start --no-demo --http-port 8081 --mqtt-port 1884'],
  replay: [
    'tribo replay --format pronostia recordings/pronostia --speed max --report',
    'tribo replay --format csv --mapping replay-mapping.yaml recordings',
  ],
  simulate: ['tribo simulate --machines pump-1,press-1 --for 60', 'tribo simulate --mode http --speed 4'],
  plant: [
    'tribo plant list',
    'tribo plant apply environments/example-plant.yaml',
    'tribo plant show plant-1 > plant.yaml',
  ],
  machine: [
    'tribo machine show pump-1',
    'tribo machine note pump-1 bearing-change --text "drive end, 6205 by 6205-C3"',
    'tribo machine history pump-1',
  ],
  device: [
    'tribo device add press-7',
    'tribo device add line-3 line-4 --id gateway-1',
    'tribo device secret press-7',
    `tribo device command press-7 '{"action":"restart"}'`,
    'tribo device quarantine',
  ],
  rule: ['tribo rule list', 'tribo rule show iso-zone-d', 'tribo rule put spindle-hot environments/rule-example.yaml'],
  alarm: [
    'tribo alarm list --machine pump-1',
    'tribo alarm acknowledge <id> --comment "heard it, bearing is ordered"',
    'tribo alarm shelve <id> --minutes 60',
  ],
  model: ['tribo model list', 'tribo model versions vibration-health --machine pump-1 --sensor de-radial'],
  ledger: [
    'tribo ledger',
    'tribo ledger rejections',
    'tribo ledger dead-letters',
    'tribo ledger dead-letters replay --all',
  ],
  token: ['tribo token sign-in jane --role operator', 'tribo token create historian --role viewer --days 365'],
  audit: ['tribo audit', 'tribo audit --action device.disable --from 2026-11-21T00:00:00Z'],
  raw: ['tribo raw press-7', 'tribo raw press-7 --from 2026-11-21T06:00:00Z --limit 20'],
  backup: ['tribo backup ../tribo-2026-11-21'],
  restore: ['tribo restore ../tribo-2026-11-21 --check', 'tribo restore ../tribo-2026-11-21 --into .tribo --force'],
  site: [
    'tribo site export ../plant-1 --dry-run --egress-per-gb 0.09',
    'tribo site export ../plant-1',
    'tribo site import ../plant-1 --data-dir ../tribo-new',
  ],
  export: ['tribo export ../readings --machine pump-1 --from 2026-11-01'],
  doctor: ['tribo doctor', 'tribo doctor --json'],
  decide: ['tribo decide akron', 'tribo decide akron --write --date 2026-11-22'],
  verify: ['tribo verify --site ports.yaml --dry-run', 'tribo verify --site ports.yaml --port objectStore'],
};
