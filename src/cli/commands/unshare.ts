/** `skein unshare`: stops keeping a space on this device; its files stay where they are. */
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const unshare: Command = {
  summary: 'stop keeping a shared folder here',
  examples: ['skein unshare notes'],
  words: [{ notation: '<space>', about: 'its name, its id or the start of its id' }],
  run: leave,
}

async function leave(call: Invocation): Promise<number> {
  const [space = ''] = call.words
  const found = await withPeer(call, (client) => client.call('unshare', { space }))
  call.terminal.json(found)
  call.terminal.print(
    safe`"${found.name}" is no longer synced here; the files stay in ${found.directory ?? 'place'}`,
  )
  return exitCodes.ok
}
