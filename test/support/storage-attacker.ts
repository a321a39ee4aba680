/**
 * A storage device gone bad, for `attacker.ts`: it has the key of a member of that role and asks for what it must never
 * get, over each protocol that carries it in plain. Says how many bytes it was answered with.
 */
import { isBlobHash } from '../../src/blobs/hash.ts'
import { pushProtocol } from '../../src/blobs/push-wire.ts'
import { blobProtocol, encodeFrame } from '../../src/blobs/wire.ts'
import { encodeGroups, encodeTable, syncProtocol } from '../../src/crdt/sync-frames.ts'
import { attempt, type Attack, call, greetOn, turn } from './member-attacker.ts'
import type { Target } from './pairing-attacker.ts'

const listenMs = 2_000

export async function askAsStorage(
  target: Target,
  {
    home = '',
    space = '',
    hash = '',
  }: { readonly home?: string; readonly space?: string; readonly hash?: string },
  say: (line: object) => void,
): Promise<void> {
  if (!isBlobHash(hash)) throw new Error('not a hash')
  const asks: Readonly<Record<string, Attack>> = {
    'the key': call('space.key', { space }),
    'all documents': listen(syncProtocol, [encodeGroups(new Map([['t/', new Uint8Array(8)]]), true)]),
    'the documents of the space': listen(syncProtocol, [
      encodeTable(`t/${space}/`, new Map([['00', new Uint8Array(8)]]), true),
    ]),
    'a content': listen(blobProtocol, [
      Buffer.concat(encodeFrame({ kind: 'want', request: 1, hash, offset: 0, length: 1_000 })),
    ]),
    'what is pushed': listen(pushProtocol, []),
  }
  await turn(target, home, async (traitor) => {
    for (const [what, ask] of Object.entries(asks)) await attempt(traitor, what, ask, say)
  })
}

/** Opens a protocol, asks, and counts what comes back until it ends or some time has gone by. */
function listen(protocol: string, messages: readonly Uint8Array[]): Attack {
  return async (traitor, connection) => {
    await greetOn(traitor, connection)
    const channel = await connection.open(protocol)
    let receivedBytes = 0
    channel.receive((message) => void (receivedBytes += message.byteLength))
    for (const message of messages) channel.send(message)
    const late = new Promise<string>((resolve) => setTimeout(() => resolve('open'), listenMs))
    const ended = channel.closed.then((error) => error?.code ?? 'closed')
    return `${await Promise.race([ended, late])}, ${receivedBytes} bytes`
  }
}
