/** `skein events`: what happens in the peer, as it happens, until Ctrl-C. */
import { hasCode } from '../../base/errors.ts'
import { printableJson } from '../../base/printable.ts'
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { interruptible, withPeer } from '../running-peer.ts'
import { formatTime, safe } from '../terminal.ts'

export const events: Command = {
  summary: 'what happens, as it happens',
  examples: ['skein events', 'skein events --json | jq "select(.name == \\"link.down\\")"'],
  run: follow,
}

async function follow(call: Invocation): Promise<number> {
  try {
    await withPeer(call, (client) =>
      interruptible(async (signal) => {
        for await (const event of client.stream('events', {}, signal)) {
          call.terminal.json(event)
          if (call.terminal.isJson) continue
          call.terminal.print(safe`${formatTime(event.atMs)} ${event.name} ${printableJson(event.data)}`)
        }
      }),
    )
  } catch (error) {
    if (!hasCode(error, 'cancelled')) throw error // Ctrl-C is how following ends
  }
  return exitCodes.ok
}
