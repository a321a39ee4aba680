/** `npm run bench`: lists the benches; `npm run -s bench -- NAME [--json] [--quick]` runs one. */
import { Console } from 'node:console'
import { runBenches } from './bench-harness.ts'

// Stdout belongs to the figures: whatever code under measurement logs goes to stderr.
globalThis.console = new Console(process.stderr, process.stderr)
// Peers of a bench take no part in the desktop of whoever runs it
for (const name of ['DISPLAY', 'WAYLAND_DISPLAY']) delete process.env[name]
const exitCode = await runBenches(process.argv.slice(2), import.meta.dirname, {
  print: (line) => process.stdout.write(`${line}\n`),
  progress: (line) => process.stderr.write(`${line}\n`),
})
// A bench that overran may still hold timers and sockets: end now, once stdout has been taken.
process.stdout.write('', () => process.exit(exitCode))
