/** `npm run bench`: lists the benches; `npm run -s bench -- NAME [--json] [--quick]` runs one. Interrupted, it still prints. */
import { Console } from 'node:console'
import { runBenches } from './bench-harness.ts'

// Stdout belongs to the figures: whatever code under measurement logs goes to stderr.
globalThis.console = new Console(process.stderr, process.stderr)
// Peers of a bench take no part in the desktop of whoever runs it
for (const name of ['DISPLAY', 'WAYLAND_DISPLAY']) delete process.env[name]
const interrupting = new AbortController()
// The second time it ends at once, as without this
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupting.abort())
const output = {
  print: (line: string) => process.stdout.write(`${line}\n`),
  progress: (line: string) => process.stderr.write(`${line}\n`),
}
const exitCode = await runBenches(process.argv.slice(2), import.meta.dirname, output, {
  interrupted: interrupting.signal,
})
// A bench that overran may still hold timers and sockets: end now, once stdout has been taken.
process.stdout.write('', () => process.exit(exitCode))
