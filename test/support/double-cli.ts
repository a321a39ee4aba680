/** The command line over the double peer: `node double-cli.ts VERB ...`, as bin/skein.js does for the real one. */
import { fileURLToPath } from 'node:url'
import { main } from '../../src/cli/main.ts'

process.exitCode = await main(process.argv.slice(2), {
  daemonEntry: fileURLToPath(new URL('./double-peer.ts', import.meta.url)),
})
