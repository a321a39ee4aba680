/**
 * Entry of the background process, started by `skein up` or a service manager:
 *   node daemon.ts --home DIR [--name NAME] [--kind KIND] [--listen HOST:PORT]... [--no-discovery] [--log-level LEVEL]
 *     [--no-console] [--console-port PORT] [--no-clipboard]
 * It only reads its command line; peer-process.ts does the rest. The peer is loaded after the home was opened, so
 * that a home in use is reported at once.
 */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { resolveHomePath } from '../program/home-path.ts'
import { runPeerProcess } from './peer-process.ts'
import { settingsFromOptions } from './settings.ts'

// A peer works for seconds and rests for hours: V8's own bounds (400 and 3,000 calls) spend an eighth of a first sync on
// compiling what is hardly called again. Set here, because a V8 that does not know them then only says so.
setFlagsFromString('--invocation-count-for-maglev=1500')
setFlagsFromString('--invocation-count-for-turbofan=20000')

const { values } = parseArgs({
  options: {
    home: { type: 'string' },
    name: { type: 'string' },
    kind: { type: 'string' },
    listen: { type: 'string', multiple: true },
    discovery: { type: 'boolean' },
    interface: { type: 'string', multiple: true },
    'log-level': { type: 'string' },
    console: { type: 'boolean' },
    clipboard: { type: 'boolean' },
    'console-port': { type: 'string' },
  },
  allowNegative: true,
})

await runPeerProcess(
  { home: resolveHomePath(values.home), settings: settingsFromOptions(values) },
  async (env, home, settings) => (await import('./peer.ts')).createPeer(env, home, settings),
  async (env, parts) => (await import('../console/console.ts')).createConsole(env, parts),
)
