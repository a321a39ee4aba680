/**
 * One device as a process of its own, for tests in network namespaces: runs a real finder and prints what it hears as
 * lines of JSON. Argument: JSON of FinderProcessOptions. Commands on standard input: `pair <nameplate>`, `unpair`,
 * `addresses <peer id>`, `exit` (with a goodbye).
 */
import { createInterface } from 'node:readline'
import { createSystemEnv } from '../../src/base/env.ts'
import { isPeerId } from '../../src/base/ids.ts'
import { createMemoryKeep } from '../../src/base/keep.ts'
import { createLog } from '../../src/base/log.ts'
import { createFinder } from '../../src/discovery/finder.ts'
import { deviceIdOf, meshKey, peerIdOf } from './peers.ts'

export interface FinderProcessOptions {
  readonly number: number
  /** Members are the devices 1 to this. */
  readonly members: number
  readonly listening: readonly string[]
  readonly isPaired: boolean
  readonly interfaces?: readonly string[]
}

// because: the test that starts this process wrote it
const options = JSON.parse(process.argv[2] ?? '{}') as FinderProcessOptions
const say = (line: object): void =>
  void process.stdout.write(`${JSON.stringify({ ...line, atMs: Date.now() })}\n`)
const heapBytes = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
const members = new Set(Array.from({ length: options.members }, (_, index) => peerIdOf(index + 1)))
const env = createSystemEnv({ log: createLog((record) => say({ event: 'log', ...record }), 'warn') })

const finder = await createFinder(
  env,
  {
    keep: createMemoryKeep(),
    self: () => ({ deviceId: deviceIdOf(options.number), peerId: peerIdOf(options.number) }),
    addresses: () => options.listening,
    meshKeys: () => (options.isPaired ? [meshKey()] : []),
    isMember: (peerId) => options.isPaired && members.has(peerId),
  },
  options.interfaces === undefined ? {} : { interfaces: options.interfaces },
)
for (const event of ['peer.sighted', 'network.changed', 'stranger.sighted'] as const) {
  finder.on(event, (payload) => say({ event, ...payload }))
}
say({ event: 'ready', heapBytes: heapBytes() })

createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, argument = ''] = line.split(' ')
  if (command === 'pair') finder.setPairing(argument)
  if (command === 'unpair') finder.setPairing(undefined)
  if (command === 'addresses' && isPeerId(argument)) {
    say({
      event: 'addresses',
      addresses: finder.addressesOf(argument),
      strangerCount: finder.strangers().length,
      heapBytes: heapBytes(),
    })
  }
  if (command === 'exit') void finder[Symbol.asyncDispose]().then(() => process.exit(0))
})
