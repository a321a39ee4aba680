/** `skein space key`: the key of a space as text, for getting it back from a storage device when all else is lost. */
import type { Command, Invocation } from '../command.ts'
import { exitCodes } from '../exit-codes.ts'
import { withPeer } from '../running-peer.ts'
import { safe } from '../terminal.ts'

export const space: Command = {
  summary: 'the recovery key of a space',
  examples: ['skein space key notes'],
  verbs: {
    key: {
      summary: 'print the recovery key; keep it where no device is, on paper',
      examples: ['skein space key notes'],
      words: [{ notation: '<space>', about: 'its name, its id or the start of its id' }],
      run: show,
    },
  },
}

async function show(call: Invocation): Promise<number> {
  const [wanted = ''] = call.words
  const found = await withPeer(call, (client) => client.call('spaceKey', { space: wanted }))
  call.terminal.json(found)
  call.terminal.print(found.code)
  call.terminal.say(safe`Whoever has this and reaches a storage device can read "${found.space}".`)
  call.terminal.say('To get it back on a new device: skein recover DIR')
  return exitCodes.ok
}
