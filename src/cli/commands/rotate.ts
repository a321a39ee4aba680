/** `skein rotate`: a new key for this device; it stays the same device, and nothing has to be paired again. */
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { formatTime, safe } from '../terminal.ts'

export const rotate: Command = {
  summary: "replace this device's key",
  examples: ['skein rotate'],
  run: replaceKey,
}

async function replaceKey(call: Invocation): Promise<number> {
  const found = await withPeer(call, (client) => client.call('rotate', {}))
  call.terminal.json(found)
  call.terminal.print(
    safe`new key ${found.peerId}; the old one is accepted until ${formatTime(found.overlapUntilMs)}`,
  )
  return exitCodes.ok
}
